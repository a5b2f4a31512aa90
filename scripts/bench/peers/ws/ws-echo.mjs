import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const server = createServer((_, response) => {
  response.writeHead(200, { "content-type": "text/plain;charset=UTF-8" }).end("Hello, WebSocket!");
});
new WebSocketServer({ server, perMessageDeflate: false }).on("connection", (socket) => {
  socket.on("message", (message, binary) => socket.send(message, { binary }));
});
server.listen(Number(process.env.PORT), "127.0.0.1");
