import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { describe, it, type TestContext } from "node:test";
import pino from "pino";
import { Channel } from "../../runtime/channel/channel.ts";
import {
  BODY_FOLLOWS,
  type ExchangeId,
  Kind,
  MAX_RESPONSE_HEAD,
  type RequestMessage,
  type ToPrimary,
  type ToWorker,
} from "../../runtime/channel/messages.ts";
import { parseToPrimary } from "../../runtime/channel/parse.ts";
import { parseToWorker } from "../../runtime/channel/parse-to-worker.ts";
import { installWebObjects } from "../../runtime/web/install.ts";
import { BackgroundWork } from "../../runtime/worker/background-work.ts";
import { toEnv } from "../../runtime/worker/context.ts";
import { Departures } from "../../runtime/worker/departures.ts";
import { MOST_STREAMS } from "../../runtime/compress/encoders.ts";
import { WorkerSockets } from "../../runtime/worker/sockets.ts";
import { PassedRequests } from "../../runtime/worker/passed-requests.ts";
import { Purges } from "../../runtime/worker/purges.ts";
import { Exchanges, type ExchangesOptions } from "../../runtime/worker/exchanges.ts";
import { loadGeneration } from "../../runtime/worker/load-handlers.ts";
import { eventually } from "../helpers/eventually.ts";
import { openSocketPair } from "../helpers/socket-pair.ts";
import { writeGeneration } from "./write-generation.ts";

interface Trial {
  exchanges: Exchanges;
  passed: PassedRequests;
  sockets: WorkerSockets;
  logs: string[];
  /** The next message that the primary gets. */
  next: () => Promise<ToPrimary>;
}

/** The exchanges of a worker with one route, as the primary sees them. */
async function startTrial(
  t: TestContext,
  source: string,
  {
    compression = null,
    measures = "none",
    middleware,
  }: Partial<Pick<ExchangesOptions, "compression" | "measures">> & { middleware?: string } = {},
): Promise<Trial> {
  const around =
    middleware === undefined
      ? { files: {}, route: {} }
      : {
          files: { "_middleware.ts": middleware },
          route: { middleware: ["_middleware.ts"] },
        };
  const { cwd, generationDir } = await writeGeneration(t, {
    files: { "handler.ts": source, ...around.files },
    routes: [{ pattern: "/", handlers: [[null, "handler.ts"]], ...around.route }],
  });
  const [near, far] = await openSocketPair(t);
  const channel = new Channel<ToWorker, ToPrimary>(near, {
    maxFrameBytes: 1024 * 1024,
    parse: parseToWorker,
    onMessage: () => {},
    onClose: () => {},
  });
  const received: ToPrimary[] = [];
  const arrived = new EventEmitter();
  const primaryEnd = new Channel<ToPrimary, ToWorker>(far, {
    maxFrameBytes: 1024 * 1024,
    parse: parseToPrimary,
    onMessage: (message) => {
      received.push(message);
      arrived.emit("message");
    },
    onClose: () => {},
  });
  t.after(() => primaryEnd.close());
  const logs: string[] = [];
  const write = (line: string): void => void logs.push(line);
  const passed = new PassedRequests(channel);
  const sockets = new WorkerSockets(channel);
  const exchanges = new Exchanges({
    channel,
    generation: await loadGeneration(generationDir, { mode: "production", cwd }),
    scope: {
      env: toEnv({}),
      log: pino({ level: "debug" }, { write }),
      requestIdPrefix: "test-",
      trustsRequestIds: false,
      background: new BackgroundWork(),
      purges: new Purges(channel),
      passed,
      sockets,
    },
    responseCreditBytes: 1024,
    departures: new Departures(),
    compression,
    running: null,
    measures,
    traces: null,
    scopeOf: null,
  });
  return {
    exchanges,
    passed,
    sockets,
    logs,
    async next() {
      for (;;) {
        const message = received.shift();
        if (message !== undefined) return message;
        await once(arrived, "message");
      }
    },
  };
}

function toRequest(id: number, url = "http://localhost/"): RequestMessage {
  return [Kind.request, id as ExchangeId, 0, null, "GET", url, "", "::1", 0, null];
}

function toPost(id: number, body: RequestMessage[9]): RequestMessage {
  return [Kind.request, id as ExchangeId, 0, null, "POST", "http://localhost/", "", "::1", 0, body];
}

installWebObjects();

describe("Exchanges", { timeout: 60_000 }, () => {
  it("acknowledges an abort, of an exchange that runs as of one that has ended", async (t) => {
    const { exchanges, next } = await startTrial(
      t,
      `export default (request) =>
        request.url.endsWith("now") ? new Response("done") : new Promise(() => {});`,
    );
    exchanges.run(toRequest(1));
    exchanges.run(toRequest(2, "http://localhost/now"));
    exchanges.abort(1 as ExchangeId, "deadline");
    exchanges.abort(2 as ExchangeId, "client-left");
    assert.equal((await next())[0], Kind.response);
    assert.deepEqual(await next(), [Kind.settled, 1]);
    assert.deepEqual(await next(), [Kind.settled, 2]);
    await exchanges.idle();
  });

  it("keeps bodies whose memory is used again before the handler reads them", async (t) => {
    const { exchanges, next } = await startTrial(
      t,
      `export default async (request) => {
        await null;
        return new Response(await request.text());
      };`,
    );
    const lent = Buffer.from("whole");
    exchanges.run(toPost(1, lent));
    lent.fill("x");
    const answers = [await next()];
    exchanges.run(toPost(2, BODY_FOLLOWS));
    for (const text of ["in ", "chunks"]) {
      const chunk = Buffer.from(text);
      exchanges.requestChunk(2 as ExchangeId, chunk);
      chunk.fill("x");
    }
    exchanges.requestEnd(2 as ExchangeId);
    answers.push(await next());
    assert.deepEqual(
      answers.map((message) => [message[1], message[5]]),
      [
        [1, "whole"],
        [2, "in chunks"],
      ],
    );
  });

  it("answers 500, once, to a response that cannot be sent", async (t) => {
    const responses = {
      "a locked body": `const stream = new ReadableStream({ pull() {} });
        const response = new Response(stream); stream.getReader(); return response;`,
      "a used body": `const response = new Response("x"); response.text(); return response;`,
      "too long a head": `return new Response("x", { headers: { a: "a".repeat(${MAX_RESPONSE_HEAD}) } });`,
    };
    for (const [name, source] of Object.entries(responses)) {
      for (const kind of ["", "async "]) {
        const { exchanges, next, logs } = await startTrial(
          t,
          `export default ${kind}(request) => {
            if (request.url.endsWith("fine")) return new Response("fine");
            ${source}
          }`,
        );
        exchanges.run(toRequest(1));
        const [, id, status] = await next();
        assert.deepEqual([id, status], [1, 500], name);
        exchanges.run(toRequest(2, "http://localhost/fine"));
        assert.deepEqual((await next()).slice(1, 3), [2, 200], name);
        assert.equal(logs.length, 1, name);
      }
    }
  });

  it("sends nothing of a request that is passed on, and its own failure where none answers it", async (t) => {
    const fails = {
      "an error": `throw new Error("no")`,
      "no response": "return 5",
      "a used body": `const response = new Response("x"); response.text(); return response`,
    };
    for (const [name, fail] of Object.entries(fails)) {
      for (const kind of ["", "async "]) {
        const { exchanges, passed, next } = await startTrial(
          t,
          `export default ${kind}(request, { passThroughOnException }) => {
            if (request.url.endsWith("fine")) return new Response("fine");
            if (request.url.endsWith("asks")) passThroughOnException();
            ${fail};
          }`,
        );
        const settle = (id: number, isTaken: boolean): void => {
          exchanges.passedOn(id as ExchangeId, isTaken);
          passed.settle(id as ExchangeId, isTaken);
        };
        exchanges.run(toRequest(1, "http://localhost/asks"));
        assert.deepEqual(await next(), [Kind.passOn, 1], name);
        settle(1, true);
        await exchanges.idle();
        exchanges.run(toRequest(2, "http://localhost/asks"));
        assert.deepEqual(await next(), [Kind.passOn, 2], name);
        settle(2, false);
        assert.deepEqual((await next()).slice(0, 3), [Kind.response, 2, 500], name);
        exchanges.run(toRequest(3));
        assert.deepEqual((await next()).slice(0, 3), [Kind.response, 3, 500], name);
        exchanges.run(toRequest(4, "http://localhost/fine"));
        assert.deepEqual((await next()).slice(0, 3), [Kind.response, 4, 200], name);
        await exchanges.idle();
      }
    }
  });

  it("waits no longer for a request to be passed on when it is aborted meanwhile", async (t) => {
    const { exchanges, passed, next } = await startTrial(
      t,
      `export default (request, context) => { context.passThroughOnException(); throw new Error("no"); }`,
    );
    exchanges.run(toRequest(1));
    assert.deepEqual(await next(), [Kind.passOn, 1]);
    exchanges.abort(1 as ExchangeId, "client-left");
    assert.deepEqual(await next(), [Kind.settled, 1]);
    // The primary answers each question.
    exchanges.passedOn(1 as ExchangeId, true);
    passed.settle(1 as ExchangeId, true);
    await exchanges.idle();
    exchanges.run(toRequest(2));
    assert.deepEqual(await next(), [Kind.passOn, 2], "nothing came between");
  });

  it("ends a WebSocket whose client left before its answer, or whose answer cannot be sent", async (t) => {
    const { exchanges, logs, next, sockets } = await startTrial(
      t,
      `export default async (request, context) => {
        const { 0: webSocket, 1: socket } = new WebSocketPair();
        socket.addEventListener("close", ({ code }) => context.log.info("closed with " + code));
        socket.accept();
        if (request.url.endsWith("late")) {
          await new Promise((resolve) => request.signal.addEventListener("abort", resolve));
        } else {
          // More acts than an answer may carry.
          for (let count = 0; count < 40_000; count++) { socket.subscribe("y"); socket.unsubscribe("y"); }
        }
        return new Response(null, { status: 101, webSocket });
      }`,
    );
    sockets.install();
    exchanges.run(toRequest(1, "http://localhost/late"));
    exchanges.abort(1 as ExchangeId, "client-left");
    assert.deepEqual(await next(), [Kind.settled, 1]);
    exchanges.run(toRequest(2));
    assert.equal((await next())[0], Kind.response);
    await exchanges.idle();
    assert.equal(logs.filter((line) => line.includes("closed with 1006")).length, 2);
  });

  it("ends a WebSocket whose response middleware leaves out, also after the answer", async (t) => {
    const { exchanges, logs, next, sockets } = await startTrial(
      t,
      `export default async (request, context) => {
        const { 0: webSocket, 1: socket } = new WebSocketPair();
        socket.accept();
        const end = new Promise((resolve) => socket.addEventListener("close", ({ code }) => {
          context.log.info("closed with " + code + ", " + socket.readyState + ", " + socket.send("more"));
          resolve();
        }));
        socket.send("first");
        if (request.url.endsWith("late")) {
          context.waitUntil(end);
          await new Promise((resolve) => globalThis.letGo = resolve);
        }
        return new Response(null, { status: 101, webSocket });
      }`,
      {
        middleware: `export default async (request, context, next) => {
          const response = next();
          if (request.url.endsWith("late")) return new Response("early");
          const { status, webSocket } = await response;
          if (request.url.endsWith("kept")) return response;
          if (request.url.endsWith("throws")) throw new Error("after " + status);
          return new Response("other");
        };`,
      },
    );
    sockets.install();
    const closed = (): string[] => logs.filter((line) => line.includes("closed with"));
    for (const [at, path] of ["replaced", "throws", "late"].entries()) {
      exchanges.run(toRequest(at + 1, `http://localhost/${path}`));
      assert.equal((await next())[0], Kind.response);
      if (path === "late") {
        assert.equal(closed().length, at);
        (Reflect.get(globalThis, "letGo") as () => void)();
        t.after(() => Reflect.deleteProperty(globalThis, "letGo"));
      }
      await exchanges.idle();
      await eventually(t, () => closed().length === at + 1);
      assert.match(closed()[at] ?? "", /closed with 1006, 3, false/);
    }
    exchanges.run(toRequest(9, "http://localhost/kept"));
    assert.equal((await next())[0], Kind.responseSocket);
    assert.equal(closed().length, 3);
  });

  it("compresses a bounded number of streams at a time", async (t) => {
    const { exchanges, next } = await startTrial(
      t,
      `export default () => new Response(new ReadableStream(), { headers: { "content-type": "text/plain" } });`,
      { compression: "fast" },
    );
    const run = async (id: number): Promise<boolean> => {
      const [kind, number, route, params, method, url, , ...rest] = toRequest(id);
      const fields = "accept-encoding\ngzip";
      exchanges.run([kind, number, route, params, method, url, fields, ...rest]);
      const message = await next();
      assert.ok(message[0] === Kind.response && message[4].includes("vary\naccept-encoding"));
      return message[4].includes("content-encoding\ngzip");
    };
    for (let id = 1; id <= MOST_STREAMS; id++) assert.ok(await run(id), `stream ${id}`);
    assert.ok(!(await run(MOST_STREAMS + 1)));
    // The place of a stream that ended is free.
    exchanges.abort(1 as ExchangeId, "client-left");
    assert.equal((await next())[0], Kind.settled);
    for (let id = MOST_STREAMS + 2; !(await run(id)); id++);
  });

  it("answers 500 when even the report of a failure fails", async (t) => {
    for (const kind of ["", "async "]) {
      const { exchanges, next } = await startTrial(
        t,
        `export default ${kind}(request) => {
          if (request.url.endsWith("fine")) return new Response("fine");
          throw Object.defineProperty(new Error(), "stack", { get() { throw new Error("no") } });
        }`,
      );
      exchanges.run(toRequest(1));
      assert.deepEqual((await next()).slice(1, 3), [1, 500]);
      exchanges.run(toRequest(2, "http://localhost/fine"));
      assert.deepEqual((await next()).slice(1, 3), [2, 200]);
      await exchanges.idle();
    }
  });

  it("answers 500 to a request that it cannot even begin with", async (t) => {
    const { exchanges, next, logs } = await startTrial(t, "export default () => new Response();");
    // The primary sends nothing of the sort.
    const [kind, id, route, params, , ...rest] = toRequest(1);
    exchanges.run([kind, id, route, params, null as unknown as string, ...rest]);
    assert.deepEqual((await next()).slice(1, 3), [1, 500]);
    assert.match(logs.join(""), /exchange failed/);
  });
});
