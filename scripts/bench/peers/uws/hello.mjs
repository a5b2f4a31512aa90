// The ceiling: uWebSockets.js in one process, answering in its own callback.
import { App } from "uWebSockets.js";

App()
  .get("/", (response) => {
    response.writeHeader("content-type", "text/plain;charset=UTF-8").end("Hello, world!");
  })
  .listen("127.0.0.1", Number(process.env.PORT), (socket) => {
    if (!socket) process.exit(1);
  });
