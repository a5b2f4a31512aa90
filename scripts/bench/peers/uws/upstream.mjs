// The upstream of the proxies: uWebSockets.js in one process, so that it is never the bottleneck.
import { App } from "uWebSockets.js";

const SMALL = "a".repeat(1024);
const LARGE = "a".repeat(1024 * 1024);

App()
  .get("/", (response) => answer(response, SMALL))
  .get("/large", (response) => answer(response, LARGE))
  .post("/", (response) => {
    let isGone = false;
    response.onAborted(() => {
      isGone = true;
    });
    response.onData((_chunk, isLast) => {
      if (isLast && !isGone) response.cork(() => answer(response, SMALL));
    });
  })
  .listen("127.0.0.1", Number(process.env.PORT), (socket) => {
    if (!socket) process.exit(1);
  });

// Fields as an application sends them.
function answer(response, body) {
  response.onAborted(() => {});
  response
    .writeHeader("content-type", "text/plain;charset=UTF-8")
    .writeHeader("cache-control", "no-cache")
    .writeHeader("etag", '"33a64df551425fcc55e4d42a148795d9"')
    .writeHeader("vary", "accept-encoding")
    .end(body);
}
