import { App } from "uWebSockets.js";

const app = App();
app
  .ws("/*", {
    open: (socket) => {
      socket.subscribe("room");
    },
    message: (_, message, isBinary) => {
      app.publish("room", message, isBinary);
    },
  })
  .get("/", (response) => {
    response.writeHeader("content-type", "text/plain;charset=UTF-8").end("Hello, WebSocket!");
  })
  .listen("127.0.0.1", Number(process.env.PORT), (socket) => {
    if (!socket) process.exit(1);
  });
