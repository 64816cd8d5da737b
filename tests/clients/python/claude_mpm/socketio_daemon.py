"""The old daemon, run as a script."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from claude_mpm.serve import arguments, daemon, serve

serve(daemon, **arguments())
