// The ceiling: uWebSockets.js in one process, which parses and prints the JSON in its own callbacks.
import { App } from "uWebSockets.js";

App()
  .post("/", (response) => {
    const chunks = [];
    let isGone = false;
    response.onAborted(() => {
      isGone = true;
    });
    response.onData((chunk, isLast) => {
      // The memory of a chunk is taken back when this callback returns.
      chunks.push(Buffer.from(chunk.slice(0)));
      if (!isLast || isGone) return;
      const body = JSON.stringify(JSON.parse(Buffer.concat(chunks).toString()));
      response.cork(() => {
        response.writeHeader("content-type", "application/json").end(body);
      });
    });
  })
  .listen("127.0.0.1", Number(process.env.PORT), (socket) => {
    if (!socket) process.exit(1);
  });
