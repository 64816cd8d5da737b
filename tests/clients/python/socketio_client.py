"""A Socket.IO client on python-socketio. Its only argument is JSON: {url, transports, auth, namespace, threads}.
It prints what happens as JSON lines and sends what it is told on standard input: {emit, data, ack}.
With `threads` it is the synchronous client, which claude-mpm's own scripts use, else the asynchronous one."""

import asyncio
import json
import sys
import threading

import engineio
import socketio

# Over polling, everything that waits comes in one answer. By default this library gives up on more than 16 packets
# in one, whichever server sends them.
engineio.payload.Payload.max_decode_packets = 1000

options = json.loads(sys.argv[1])
namespace = options["namespace"]
how = {"transports": options["transports"], "auth": options["auth"], "namespaces": [namespace], "wait_timeout": 20}
printing = threading.Lock()


def show(**line):
    with printing:
        print(json.dumps(line), flush=True)


def on_event(name, *args):
    show(what="event", name=name, data=args[0] if args else None)


def on_disconnect(reason=None):
    show(what="disconnect", data=reason)


def listen(client):
    client.on("*", on_event, namespace=namespace)
    client.on("disconnect", on_disconnect, namespace=namespace)


def connected(client):
    show(what="connect", transport=client.transport())
    if client.transport() == "websocket" and options["transports"] is None:
        show(what="upgrade", transport="websocket")  # this library upgrades before it reports the connection


def sending(line):
    order = json.loads(line)
    answer = lambda *args: show(what="ack", ack=order["ack"], data=args[0] if args else None)
    return order["emit"], order["data"], namespace, answer if order.get("ack") else None


def with_threads():
    client = socketio.Client(reconnection=False)
    listen(client)
    try:
        client.connect(options["url"], **how)
    except socketio.exceptions.ConnectionError as error:
        return show(what="connect_error", data=str(error))
    connected(client)
    for line in sys.stdin:
        client.emit(*sending(line))
    client.disconnect()


async def with_tasks():
    client = socketio.AsyncClient(reconnection=False)
    listen(client)
    try:
        await client.connect(options["url"], **how)
    except socketio.exceptions.ConnectionError as error:
        return show(what="connect_error", data=str(error))
    connected(client)
    while line := await asyncio.to_thread(sys.stdin.readline):
        await client.emit(*sending(line))
    await client.disconnect()


if options["threads"]:
    with_threads()
else:
    asyncio.run(with_tasks())
