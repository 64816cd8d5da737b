// A raw WebSocket client on ws. Its only argument is JSON: {url, options}, the latter for the library.
// It prints what happens as JSON lines and does what it is told on standard input: {send}, {binary}, {pause}.
import { createInterface } from "node:readline";
import WebSocket from "ws";

const { url, options } = JSON.parse(process.argv[2]);
const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");

const socket = new WebSocket(url, options);
socket.on("open", () => print({ what: "open" }));
socket.on("message", (data, isBinary) => print({ what: "message", isBinary, data: JSON.parse(data) }));
socket.on("unexpected-response", (request, response) => {
  print({ what: "refused", status: response.statusCode });
  request.destroy();
});
socket.on("error", (error) => print({ what: "error", data: error.message }));
socket.on("close", (code) => print({ what: "close", code }));

for await (const line of createInterface({ input: process.stdin })) {
  const { send, binary, pause } = JSON.parse(line);
  if (send !== undefined) socket.send(send);
  if (binary !== undefined) socket.send(Buffer.from(binary));
  if (pause === true) socket.pause();
  if (pause === false) socket.resume();
}
socket.close();
