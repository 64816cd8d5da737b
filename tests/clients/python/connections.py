"""Opens many connections and holds them. Arguments: port, count, and `idle` (says nothing), `slow` (sends a head a
line at a time and never ends it) or `websocket` (upgrades). Prints how many are open as JSON lines, and how many of
them the server has closed whenever that changes, until it is told to end on standard input."""

import json
import resource
import select
import socket
import sys

port, count, kind = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

HEAD = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def show(**line):
    print(json.dumps(line), flush=True)


connections = {}
for _ in range(count):
    try:
        connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        if kind == "slow":
            connection.sendall(HEAD)
        if kind == "websocket":
            connection.sendall(UPGRADE)
            assert connection.recv(12) == b"HTTP/1.1 101"
    except OSError as error:
        show(what="refused", error=str(error))
        continue
    connection.setblocking(False)
    connections[connection.fileno()] = connection
show(what="open", count=len(connections))

poll = select.epoll()
for number in connections:
    poll.register(number, select.EPOLLIN | select.EPOLLRDHUP)
poll.register(sys.stdin.fileno(), select.EPOLLIN)
closed = 0
while True:
    before = closed
    for number, _ in poll.poll(0.2):
        if number == sys.stdin.fileno():
            sys.exit()
        try:
            over = connections[number].recv(65536) == b""
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
