"""`python -m claude_mpm.cli monitor start …`, as the monitor runs; without `monitor` it is a session."""

from claude_mpm.serve import arguments, monitor, serve

serve(monitor, **arguments())
