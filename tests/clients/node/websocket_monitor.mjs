// The JavaScript client of the WebSocket API's documentation, as it stands there but for the address, its
// argument, and the import: it is written for browsers, where WebSocket is built in.
import WebSocket from "ws";

const ws = new WebSocket(process.argv[2]);

ws.onopen = () => {
    ws.send(JSON.stringify({
        command: 'subscribe',
        channels: ['*']
    }));
};

ws.onmessage = (event) => {
    const data = JSON.parse(event.data);
    console.log(data.type, data.data);
};
