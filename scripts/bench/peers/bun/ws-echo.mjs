Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  development: false,
  fetch(request, server) {
    return server.upgrade(request) ? undefined : new Response("Hello, WebSocket!");
  },
  websocket: {
    message(socket, message) {
      socket.send(message);
    },
  },
});
