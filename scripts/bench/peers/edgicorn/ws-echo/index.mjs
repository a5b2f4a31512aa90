import { upgradeWebSocket } from "edgicorn";

export function GET(request) {
  if (request.headers.get("upgrade") === null) return new Response("Hello, WebSocket!");
  return upgradeWebSocket(request).response;
}

export function webSocketMessage(socket, message) {
  socket.send(message);
}
