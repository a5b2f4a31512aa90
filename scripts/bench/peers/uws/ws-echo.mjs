import { App } from "uWebSockets.js";

App()
  .ws("/*", {
    message: (socket, message, isBinary) => {
      socket.send(message, isBinary);
    },
  })
  .get("/", (response) => {
    response.writeHeader("content-type", "text/plain;charset=UTF-8").end("Hello, WebSocket!");
  })
  .listen("127.0.0.1", Number(process.env.PORT), (socket) => {
    if (!socket) process.exit(1);
  });
