"""One HTTP server that answers /health as one of claude-mpm's servers did when it was recorded."""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = "5.9.10"


def monitor(port):
    """`claude-mpm monitor`: tells its pid."""
    return {
        "status": "running",
        "service": "claude-mpm-monitor",
        "version": VERSION,
        "port": port,
        "pid": os.getpid(),
        "uptime": 8,
    }


def daemon(port):
    """`socketio_daemon.py`: tells no pid."""
    return {
        "status": "healthy",
        "server": "claude-mpm-python-socketio",
        "timestamp": "2025-07-30T12:00:00Z",
        "port": port,
        "host": "localhost",
        "clients_connected": 0,
    }


def serve(answer, port, pid_file=None, stubborn=False):
    """Serves until SIGTERM; a stubborn one ignores it. Says "ready" when it listens."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path != "/health":
                self.send_error(404)
                return
            body = json.dumps(answer(port)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    if pid_file:
        with open(pid_file, "w") as file:
            file.write(str(os.getpid()))
    print("ready", flush=True)
    server.serve_forever()


def arguments(argv=None):
    """`--port N`, `--pid-file PATH` and `--stubborn`, wherever they stand."""
    argv = sys.argv[1:] if argv is None else argv
    value = lambda name: argv[argv.index(name) + 1] if name in argv else None
    return {"port": int(value("--port")), "pid_file": value("--pid-file"), "stubborn": "--stubborn" in argv}
