import { createServer } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

const CHUNK = Buffer.alloc(16 * 1024, "a");
const CHUNKS = 4;

const server = createServer((request, response) => {
  let left = CHUNKS;
  const body = new Readable({
    highWaterMark: CHUNK.length,
    read() {
      this.push(left > 0 ? CHUNK : null);
      left--;
    },
  });
  response.writeHead(200, { "content-type": "application/octet-stream" });
  pipeline(body, response).catch(() => {
    // The client left: the error needs no answer.
  });
});
// Longer than Nginx keeps an idle upstream connection (60 s), or Nginx meets closed ones and answers 502.
server.keepAliveTimeout = 65_000;
server.listen(Number(process.env.PORT), "127.0.0.1");
