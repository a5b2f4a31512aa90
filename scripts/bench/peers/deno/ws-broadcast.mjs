// Run by `deno serve`, which owns the port and the flags.
const sockets = new Set();

export default {
  fetch(request) {
    if (request.headers.get("upgrade") === null) return new Response("Hello, WebSocket!");
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.addEventListener("open", () => sockets.add(socket));
    socket.addEventListener("close", () => sockets.delete(socket));
    socket.addEventListener("message", ({ data }) => {
      for (const each of sockets) each.send(data);
    });
    return response;
  },
};
