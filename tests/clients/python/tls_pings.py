"""Upgrades to a WebSocket over TLS, and sends pings without reading the pongs until so many bytes are sent, the server
takes no more, or ends the connection. Arguments: port, path, bytes. Prints how many bytes were sent, and waits to be
ended."""

import json
import socket
import ssl
import sys

port, path, bytes_max = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
plain = socket.socket()
plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
plain.connect(("127.0.0.1", port))
connection = context.wrap_socket(plain)
head = (
    f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
connection.sendall(head.encode())
answer = connection.recv(4096)
assert answer.startswith(b"HTTP/1.1 101 "), answer
pings = (bytes([0x89, 0xFD, 0, 0, 0, 0]) + b"x" * 125) * 120
connection.settimeout(0.5)
sent = 0
try:
    while sent < bytes_max:
        connection.sendall(pings)
        sent += len(pings)
except OSError:
    pass
print(json.dumps({"what": "sent", "bytes": sent}), flush=True)
sys.stdin.read()
