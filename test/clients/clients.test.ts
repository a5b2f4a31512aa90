import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { describe, it, type TestContext } from "node:test";
import { openIdleConnections, runEcho, runEvents } from "../../scripts/clients/client-process.ts";
import { echo } from "../../scripts/clients/echo.ts";
import { parseEvents } from "../../scripts/clients/events.ts";
import { openIdle } from "../../scripts/clients/idle.ts";

const signal = new AbortController().signal;

describe("echo()", { timeout: 20_000 }, () => {
  const sizeBytes = 5_000_001; // More than one block, and no multiple of anything.

  it("reads the body back while it is sent", async (t) => {
    const url = await serve(t, (request, response) => void request.pipe(response));
    const report = await echo({ url, sizeBytes });
    assert.equal(report.count, sizeBytes / 1024 ** 2);
    assert.ok(report.rate > 0);
  });

  const wrong: readonly (readonly [string, RequestListener, RegExp])[] = [
    ["a status other than 200", refuseAll, /status 413, expected 200/],
    ["a byte that was changed", changeOneByte, /other bytes than were sent, after byte/],
    ["an answer that ends early", endEarly, /1000 bytes came back, 5000001 were sent/],
  ];
  for (const [title, listener, message] of wrong) {
    it(`fails at ${title}`, async (t) => {
      const url = await serve(t, listener);
      await assert.rejects(echo({ url, sizeBytes }), { message });
    });
  }
});

describe("runEcho()", { timeout: 20_000 }, () => {
  it("reports from another process, errors too", async (t) => {
    const url = await serve(t, (request, response) => void request.pipe(response));
    const { count } = await runEcho({ url, sizeBytes: 1024 ** 2, signal });
    assert.equal(count, 1);
    const refusing = await serve(t, refuseAll);
    await assert.rejects(runEcho({ url: refusing, sizeBytes: 1024, signal }), {
      message: "the client of echo failed: status 413, expected 200",
    });
  });
});

describe("runEvents()", { timeout: 20_000 }, () => {
  it("reads the events of every connection and counts the lost ones", async (t) => {
    let connections = 0;
    const url = await serve(t, (_request, response) => {
      connections++;
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(`:\n\ndata: ${process.hrtime.bigint()}\n\n`);
      if (connections === 3) {
        response.end();
        return;
      }
      const emit = (): boolean => response.write(`data: ${process.hrtime.bigint()}\n\n`);
      const timer = setInterval(emit, 20);
      response.once("close", () => clearInterval(timer));
    });
    const report = await runEvents({ url, clients: 3, warmUpSeconds: 0, seconds: 1, signal });
    assert.equal(connections, 3);
    assert.equal(report.socketErrors, 1);
    assert.ok(report.rate > 0 && report.count > report.rate / 2);
    assert.ok((report.p50Us ?? NaN) > 0 && (report.p99Us ?? NaN) >= (report.p50Us ?? NaN));
  });
});

describe("parseEvents()", () => {
  const wire = ":\n\ndata: 12\n\n: still here\n\ndata: 34\n\n";

  it("finds the same times wherever the text is split, and leaves comments out", () => {
    for (let at = 0; at <= wire.length; at++) {
      const first = parseEvents(wire.slice(0, at));
      const second = parseEvents(first.rest + wire.slice(at));
      assert.deepEqual([...first.times, ...second.times], [12n, 34n]);
      assert.equal(second.rest, "");
    }
  });

  it("refuses text that is no event", () => {
    assert.throws(() => parseEvents("<html>\n\n"), /not an event: "<html>"/);
  });
});

describe("openIdleConnections()", { timeout: 20_000 }, () => {
  it("holds connections that have had an answer until it is told to close", async (t) => {
    let requests = 0;
    const url = await serve(t, (_request, response) => {
      requests++;
      response.end("ok");
    });
    const idle = await openIdleConnections({ url, connections: 7, signal });
    assert.equal(requests, 7);
    const closing = idle.close();
    assert.equal(await closing, 7);
    assert.equal(idle.close(), closing);
  });

  it("fails when the server does not answer 200", async (t) => {
    const url = await serve(t, refuseAll);
    await assert.rejects(openIdleConnections({ url, connections: 2, signal }), /exit code 1/);
  });
});

describe("openIdle()", { timeout: 20_000 }, () => {
  it("knows which connections the server has closed", async (t) => {
    const server = createServer((_request, response) => response.end("ok"));
    const idle = await openIdle({ url: await listen(t, server), connections: 3 });
    assert.equal(idle.left(), 3);
    const [first] = [...idle.sockets];
    assert.ok(first);
    const closed = once(first, "close");
    server.closeAllConnections();
    await closed;
    assert.ok(idle.left() < 3);
    idle.close();
  });
});

function refuseAll(...[request, response]: Parameters<RequestListener>): void {
  response.statusCode = 413;
  request.resume();
  response.end();
}

function changeOneByte(...[request, response]: Parameters<RequestListener>): void {
  let received = 0;
  request.on("data", (chunk: Buffer) => {
    const place = 4_500_000 - received;
    if (place >= 0 && place < chunk.length)
      chunk.writeUInt8((chunk.readUInt8(place) + 1) % 256, place);
    received += chunk.length;
    response.write(chunk);
  });
  request.once("end", () => response.end());
}

function endEarly(...[request, response]: Parameters<RequestListener>): void {
  request.once("data", (chunk: Buffer) => response.end(chunk.subarray(0, 1000)));
  request.once("data", () => request.resume());
}

function serve(t: TestContext, listener: RequestListener): Promise<string> {
  return listen(t, createServer(listener));
}

async function listen(t: TestContext, server: ReturnType<typeof createServer>): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  assert.ok(address !== null && typeof address !== "string");
  return `http://127.0.0.1:${address.port}/`;
}
