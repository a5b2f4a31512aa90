const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  development: false,
  fetch(request) {
    return server.upgrade(request) ? undefined : new Response("Hello, WebSocket!");
  },
  websocket: {
    open(socket) {
      socket.subscribe("room");
    },
    message(_, message) {
      server.publish("room", message);
    },
  },
});
