"""Follows a monitor from Python with plain python-socketio: everything that is stored, then what happens, across
restarts, each event once.

    pip install "python-socketio[client]"
    python follow.py [URL]

Without a URL it is $CLAUDE_MPM_MONITOR_URL, else the monitor that a file in ~/.claude-mpm/monitor/run names, else
http://localhost:8765. It asks the monitor whether it understands this client, and prints a line for each event.
"""

import json
import os
import pathlib
import queue
import sys
import urllib.parse
import urllib.request

import socketio

VERSION = "1.0.0"  # this client's own; older than 0.7.0 gets a warning


def running():
    """The address of this user's monitor."""
    home = pathlib.Path(os.environ.get("CLAUDE_MPM_HOME") or pathlib.Path.home() / ".claude-mpm")
    for path in sorted((home / "monitor" / "run").glob("*.json")):
        runfile = json.loads(path.read_text())
        url = f"http://{runfile['host']}:{runfile['port']}"
        try:  # a file that a crash left names a monitor that does not answer, or another one
            if get(url, "/health")["server_id"] == runfile["server_id"]:
                return url
        except (OSError, KeyError, ValueError):
            continue
    return "http://localhost:8765"


def get(url, path, **parameters):
    query = urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(f"{url}{path}?{query}", timeout=10) as answer:
        return json.load(answer)


def check(url):
    """Says what the monitor thinks of this client's version; it refuses nobody."""
    body = json.dumps({"client_version": VERSION}).encode()
    with urllib.request.urlopen(f"{url}/compatibility", body, timeout=10) as answer:
        for warning in json.load(answer)["warnings"]:
            print(f"warning: {warning}", file=sys.stderr)


class Follower:
    """Socket.IO says that there is something new, and the history says what: asked for by position, it has no gap,
    whatever was missed and in whatever order this library's threads run."""

    def __init__(self, url):
        self.url = url
        self.epoch = None  # identity of the store that `position` is of
        self.position = 0
        self.news = queue.SimpleQueue()
        self.client = socketio.Client()  # connects again by itself
        self.client.on("connect", self.subscribe, namespace="/stream")
        self.client.on("events", self.news.put, namespace="/stream")
        self.client.on("gap", self.news.put, namespace="/stream")

    def subscribe(self):
        """After each connection, the first one too: what came meanwhile is news as well."""
        self.client.emit("subscribe", {"limit": 1}, namespace="/stream", callback=self.news.put)

    def run(self):
        self.client.connect(self.url, namespaces=["/stream"], retry=True)
        while True:
            self.news.get()
            try:
                self.read()
            except OSError:
                pass  # the monitor has just gone; there is news again when it is back

    def read(self):
        more = True
        while more:
            page = get(self.url, "/api/events", after=self.position, limit=1000)
            if self.epoch not in (None, page["epoch"]):
                self.epoch, self.position = page["epoch"], 0  # another store: positions start over
                continue
            for row in page["events"]:
                print(row["seq"], row["kind"], row.get("session_id", "-"), row["summary"], sep="\t", flush=True)
            self.epoch, self.position, more = page["epoch"], page["position"], page["has_more"]


if __name__ == "__main__":
    address = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("CLAUDE_MPM_MONITOR_URL") or running()
    check(address)
    try:
        Follower(address).run()
    except KeyboardInterrupt:
        pass
