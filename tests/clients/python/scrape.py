"""Scrapes a monitor as Prometheus would and prints each sample as a JSON line: name, labels, value, type of its family.

A page that breaks a rule of the format ends it with the parser's error.
"""

import json
import sys
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families

answer = urllib.request.urlopen(sys.argv[1], timeout=30)
media_type = answer.headers["content-type"].split(";")[0]
assert media_type == "application/openmetrics-text", media_type
for family in text_string_to_metric_families(answer.read().decode()):
    assert family.documentation, f"{family.name} does not say what it is"
    for sample in family.samples:
        print(json.dumps({"name": sample.name, "labels": sample.labels, "value": sample.value, "type": family.type}))
