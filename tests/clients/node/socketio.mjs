// A Socket.IO client on socket.io-client. Its only argument is JSON: {url, transports, auth, namespace, reconnection}.
// It prints what happens as JSON lines and sends what it is told on standard input: {emit, data, ack}.
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const { url, transports, auth, namespace, reconnection = false } = JSON.parse(process.argv[2]);
const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");

const socket = io(url + namespace, {
  reconnection,
  reconnectionDelay: 100,
  reconnectionDelayMax: 100,
  ...(transports && { transports }),
  ...(auth && { auth }),
});

socket.io.on("open", () => {
  socket.io.engine.on("upgrade", ({ name }) => print({ what: "upgrade", transport: name }));
});
socket.on("connect", () => print({ what: "connect", transport: socket.io.engine.transport.name }));
socket.on("connect_error", (error) => print({ what: "connect_error", data: error.message }));
socket.on("disconnect", (reason) => print({ what: "disconnect", data: reason }));
socket.onAny((name, data = null) => print({ what: "event", name, data }));

for await (const line of createInterface({ input: process.stdin })) {
  const { emit, data, ack } = JSON.parse(line);
  const args = data === null ? [] : [data];
  if (ack) args.push((answer = null) => print({ what: "ack", ack, data: answer }));
  socket.emit(emit, ...args);
}
socket.close();
