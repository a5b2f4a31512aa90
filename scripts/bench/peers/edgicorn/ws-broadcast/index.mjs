import { upgradeWebSocket } from "edgicorn";

export function GET(request) {
  if (request.headers.get("upgrade") === null) return new Response("Hello, WebSocket!");
  const { socket, response } = upgradeWebSocket(request);
  socket.subscribe("room");
  return response;
}

export function webSocketMessage(socket, message, context) {
  context.publish("room", message);
}
