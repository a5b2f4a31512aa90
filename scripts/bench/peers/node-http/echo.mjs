import { createServer } from "node:http";
import { pipeline } from "node:stream/promises";

const server = createServer((request, response) => {
  response.writeHead(200, { "content-type": "application/octet-stream" });
  pipeline(request, response).catch(() => {
    // The client left: the error needs no answer.
  });
});
server.keepAliveTimeout = 65_000;
server.listen(Number(process.env.PORT), "127.0.0.1");
