// SPDX-License-Identifier: MPL-2.0
// What one writes in an afternoon with Node: events from ARI's WebSocket to a PUB socket, the type
// as the topic.
//
//     node peer.js ws://127.0.0.1:8088/ari/events?app=ivr tcp://127.0.0.1:5555
const WebSocket = require("ws");
const zmq = require("zeromq");

async function main(url, endpoint) {
  const publisher = new zmq.Publisher({ sendHighWaterMark: 10000 });
  await publisher.bind(endpoint);
  console.log("bound", publisher.lastEndpoint);

  let waiting = []; // a socket takes one send() at a time
  let isSending = false;
  async function send() {
    isSending = true;
    while (waiting.length > 0) {
      const messages = waiting;
      waiting = [];
      for (const message of messages) await publisher.send(message);
    }
    isSending = false;
  }

  const socket = new WebSocket(url, { perMessageDeflate: false });
  socket.on("message", (data) => {
    const event = JSON.parse(data);
    waiting.push([event.type, data]);
    if (!isSending) send();
  });
  socket.on("open", () => console.log("connected"));
  socket.on("close", () => process.exit(1));
}

main(process.argv[2], process.argv[3]);
