// An echo that works behind Nginx. Nginx sends no more of a request once the response has begun, so an answer that
// starts before the request has ended would wait forever. The body goes to a file: memory must not grow with it.
import { createReadStream, createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

let requests = 0;

async function echo(request, response) {
  requests++;
  const file = join(process.env.SPOOL_FOLDER, `spool-${requests}`);
  try {
    await pipeline(request, createWriteStream(file, { mode: 0o600 }));
    response.writeHead(200, { "content-type": "application/octet-stream" });
    await pipeline(createReadStream(file), response);
  } finally {
    await rm(file, { force: true });
  }
}

const server = createServer((request, response) => {
  echo(request, response).catch(() => {
    // The client left: the error needs no answer.
  });
});
server.keepAliveTimeout = 65_000;
server.listen(Number(process.env.PORT), "127.0.0.1");
