import { createServer } from "node:http";

const INTERVAL_MS = 100;

const server = createServer((request, response) => {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  // The monotonic clock is the same for all processes of a machine.
  const emit = () => response.write(`data: ${process.hrtime.bigint()}\n\n`);
  const timer = setInterval(emit, INTERVAL_MS);
  response.on("close", () => clearInterval(timer));
});
server.listen(Number(process.env.PORT), "127.0.0.1");
