import { createServer } from "node:http";

const server = createServer((request, response) => {
  response.writeHead(200, { "content-type": "text/plain;charset=UTF-8", "content-length": 13 });
  response.end("Hello, world!");
});
// Longer than Nginx keeps an idle upstream connection (60 s), or Nginx meets closed ones and answers 502.
server.keepAliveTimeout = 65_000;
server.listen(Number(process.env.PORT), "127.0.0.1");
