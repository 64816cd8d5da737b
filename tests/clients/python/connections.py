"""Opens many connections and holds them. Arguments: port, count, what each says, and optionally a path and a header:

    idle       nothing
    slow       a head, a line at a time and without end
    tls        the beginning of a TLS handshake
    websocket  an upgrade to the WebSocket API
    engine     an upgrade to Socket.IO, and nothing after it
    handshake  the first request of Socket.IO by polling, with 32 KiB of headers, and then closes
    unread     a request for the path, whose answer it does not read

Prints how many are open and which statuses they were answered with as JSON lines, and how many the server has closed
whenever that changes, until it is told to end on standard input."""

import json
import resource
import select
import socket
import sys
from collections import Counter

port, count, kind = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
path, more = (sys.argv[4:] + ["/", "X-More: none"][len(sys.argv) - 4 :])[:2]
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def request(path, *headers):
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", more, *headers, "", ""]).encode()


UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
POLLING = "/socket.io/?EIO=4&transport=polling"
SAID = {
    "idle": b"",
    "slow": b"GET /health HTTP/1.1\r\nHost: localhost\r\n",
    "tls": b"\x16\x03\x01",
    "websocket": request("/ws", *UPGRADE),
    "engine": request("/socket.io/?EIO=4&transport=websocket", *UPGRADE),
    "handshake": request(POLLING, "Connection: close", *(f"X-{at}: " + "x" * 1000 for at in range(32))),
    "unread": request(path),
}
ANSWERED = ("websocket", "engine", "handshake")


def show(**line):
    print(json.dumps(line), flush=True)


def connect():
    connection = socket.socket()
    connection.settimeout(60)
    if kind == "unread":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", port))
    return connection


connections = {}
statuses = Counter()
for _ in range(count):
    try:
        connection = connect()
        connection.sendall(SAID[kind])
        if kind in ANSWERED:
            statuses[connection.recv(12)[9:].decode()] += 1
    except OSError as error:
        show(what="refused", error=str(error))
        continue
    if kind == "handshake":
        connection.close()
        continue
    connection.setblocking(False)
    connections[connection.fileno()] = connection
show(what="open", count=len(connections), statuses=statuses)

poll = select.epoll()
for number in connections:
    # Of one that does not read, only the end is waited for.
    poll.register(number, 0 if kind == "unread" else select.EPOLLIN | select.EPOLLRDHUP)
poll.register(sys.stdin.fileno(), select.EPOLLIN)
closed = 0
while True:
    before = closed
    for number, events in poll.poll(0.2):
        if number == sys.stdin.fileno():
            sys.exit()
        try:
            over = kind == "unread" or connections[number].recv(65536) == b""
        except BlockingIOError:
            over = False
        except OSError:
            over = True
        if over:
            poll.unregister(number)
            connections.pop(number).close()
            closed += 1
    if kind == "slow":
        for connection in connections.values():
            try:
                connection.send(b"x-more: 1\r\n")
            except OSError:
                pass
    if closed != before:
        show(what="closed", count=closed)
