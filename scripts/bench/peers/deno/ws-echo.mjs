// Run by `deno serve`, which owns the port and the flags.
export default {
  fetch(request) {
    if (request.headers.get("upgrade") === null) return new Response("Hello, WebSocket!");
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.addEventListener("message", ({ data }) => socket.send(data));
    return response;
  },
};
