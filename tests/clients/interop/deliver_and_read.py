"""The real claude-mpm's hooks and Socket.IO clients against a monitor: `deliver_and_read.py PORT SAMPLES SCRIPTS`.

SAMPLES is a file of hook payloads, one a line; SCRIPTS the folder of claude-mpm's shell scripts. Runs in the
environment that claude-mpm is installed in. Ends with 0 when everything was delivered and read."""

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request

from claude_mpm.services.event_aggregator import EventAggregator
from claude_mpm.services.socketio.client_proxy import SocketIOClientProxy
from claude_mpm.services.socketio_client_manager import SocketIOClientManager

PORT, SAMPLES, SCRIPTS = int(sys.argv[1]), sys.argv[2], sys.argv[3]
URL = f"http://localhost:{PORT}"
# What claude-mpm's Python handler sends something of.
BY_PYTHON = [
    "SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "Notification", "SubagentStart",
    "SubagentStop", "Stop",
]
# What its bash hook sends: everything that it is called for.
BY_BASH = BY_PYTHON + ["SessionEnd", "PreCompact"]
PATIENCE_S = 30


def stored(**query):
    words = "&".join(f"{name}={value}" for name, value in query.items())
    with urllib.request.urlopen(f"{URL}/api/events?limit=1000&payload=true&{words}") as answer:
        return json.load(answer)["events"]


def wait_for(what, ask):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := ask():
            print(f"  {what}")
            return found
        time.sleep(0.1)
    sys.exit(f"not within {PATIENCE_S} s: {what}")


def samples():
    with open(SAMPLES, encoding="utf-8") as lines:
        found = [json.loads(line) for line in lines if line.strip()]
    return {sample["hook_event_name"]: sample for sample in reversed(found)}


def run_hook(command, sample, session):
    body = json.dumps({**sample, "session_id": session, "cwd": os.getcwd()})
    environment = {
        **os.environ,
        "CLAUDE_MPM_SERVER_PORT": str(PORT),
        "CLAUDE_MPM_SOCKETIO_PORT": str(PORT),
    }
    ended = subprocess.run(command, input=body, env=environment, capture_output=True, text=True, timeout=60)
    if ended.returncode != 0:
        sys.exit(f"{command} ended with {ended.returncode}: {ended.stderr}")


def hooks_deliver(name, command, events, session):
    known = samples()
    for event in events:
        # Its background request may be cancelled when the handler ends, so one that was lost is sent again.
        for _ in range(5):
            run_hook(command, known[event], session)
            deadline = time.monotonic() + 2
            while time.monotonic() < deadline:
                if stored(session=session, kind=event, duplicates="true"):
                    break
                time.sleep(0.05)
            else:
                continue
            break
        else:
            sys.exit(f"{name}: {event} did not arrive")
    sources = {event["source"] for event in stored(session=session, duplicates="true")}
    if sources != {"mpm_hook"}:
        sys.exit(f"{name}: known as {sources}")
    print(f"  {name}: {len(events)} events delivered and known as claude-mpm's")


def proxy_delivers(session):
    proxy = SocketIOClientProxy(port=PORT)
    proxy.start()

    def send():
        proxy.broadcast_event("memory:updated", {"session_id": session, "agent_id": "engineer", "chars": 12})
        return stored(kind="memory:updated")

    event = wait_for("SocketIOClientProxy: its memory event is stored", send)[-1]
    proxy.running = False
    if event["source"] != "socketio" or event["payload"]["data"]["agent_id"] != "engineer":
        sys.exit(f"SocketIOClientProxy: stored as {event}")


def aggregator_reads(aggregator, session):
    def live():
        run_hook([sys.executable, "-m", "claude_mpm.hooks.claude_hooks.hook_handler"], samples()["PreToolUse"], session)
        return session in aggregator.active_sessions

    wait_for("EventAggregator: a live hook reaches its session", live)
    if aggregator.total_events_captured == 0:
        sys.exit("EventAggregator: it captured nothing")


async def manager_connects():
    manager = SocketIOClientManager(client_version="5.9.10")
    found = manager.discover_servers(ports=[PORT])
    best = manager.find_best_server(found)
    if best is None or not await manager.connect_to_server(best):
        sys.exit(f"SocketIOClientManager: it found {found} and did not connect")
    await manager.client.disconnect()
    print("  SocketIOClientManager: found the monitor, took it for compatible, and connected")


python = [sys.executable, "-m", "claude_mpm.hooks.claude_hooks.hook_handler"]
hooks_deliver("the Python hook", python, BY_PYTHON, "interop-python")
hooks_deliver("the bash hook", ["bash", f"{SCRIPTS}/claude-hook-fast.sh"], BY_BASH, "interop-bash")
proxy_delivers("interop-proxy")
aggregator = EventAggregator(port=PORT, save_dir=os.path.join(os.getcwd(), "sessions"))
wait_for("EventAggregator: connects", aggregator.start)
wait_for("EventAggregator: reads the history", lambda: aggregator.total_events_captured > 10)
aggregator_reads(aggregator, "interop-live")
aggregator.stop()
asyncio.run(manager_connects())
