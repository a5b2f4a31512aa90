import assert from "node:assert/strict";
import { once } from "node:events";
import {
  createServer,
  IncomingMessage,
  request as sendRequest,
  ServerResponse,
  STATUS_CODES,
} from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { createGzip } from "node:zlib";
import type { Context, HandlerFunction } from "../../runtime/api.ts";
import { abortRequest, createRequest } from "../../runtime/web/fast-request.ts";
import { fromNode, type NodeApplication } from "../../runtime/web/from-node.ts";
import { installWebObjects } from "../../runtime/web/install.ts";

// As in a worker.
installWebObjects();

type Listener = (req: IncomingMessage, res: ServerResponse) => unknown;

interface Sent {
  method?: string;
  target?: string;
  fields?: Readonly<Record<string, string>>;
  body?: string | Uint8Array;
  /** The body arrives in pieces, without a length. */
  isChunked?: boolean;
}

interface Case extends Sent {
  name: string;
  app: Listener;
}

const LARGE = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251));

async function readText(req: IncomingMessage): Promise<string> {
  return (await buffer(req)).toString();
}

/** Each application answers the same through `http.createServer` and through `fromNode`. */
const CASES: readonly Case[] = [
  { name: "text", app: (_, res) => res.end("hello") },
  { name: "nothing", app: (_, res) => res.end() },
  { name: "bytes", app: (_, res) => res.end(Buffer.from([0, 255, 128, 13, 10])) },
  { name: "a Uint8Array", app: (_, res) => res.end(new Uint8Array([1, 2, 3])) },
  { name: "text of another encoding", app: (_, res) => res.end("café", "latin1") },
  { name: "base64", app: (_, res) => res.end("aGVsbG8=", "base64") },
  { name: "hex after text", app: (_, res) => (res.write("a"), res.end("62", "hex")) },
  { name: "UTF-8 text", app: (_, res) => res.setHeader("content-type", "text/plain").end("zoë ✓") },
  { name: "half a surrogate pair", app: (_, res) => res.end("a\ud800b") },
  { name: "text with a blank line", app: (_, res) => res.end("a\r\n\r\nb") },
  {
    name: "memory that is used again once a write is done",
    app: (_, res) => {
      const memory = Buffer.alloc(1000, "a");
      res.write(memory, () => res.end(memory.fill("b")));
    },
  },
  { name: "HEAD", method: "HEAD", app: (_, res) => res.end("hello") },
  {
    name: "HEAD with a length",
    method: "HEAD",
    app: (_, res) => res.writeHead(200, { "Content-Length": 1234 }).end(),
  },
  {
    name: "HEAD of a stream",
    method: "HEAD",
    app: async (_, res) => {
      res.write("a");
      await delay(5);
      res.end("b");
    },
  },
  { name: "204", app: (_, res) => res.writeHead(204).end() },
  { name: "204 with text", app: (_, res) => res.writeHead(204).end("dropped") },
  { name: "304 with fields", app: (_, res) => res.writeHead(304, { ETag: '"a"' }).end() },
  { name: "404 of statusCode", app: (_, res) => ((res.statusCode = 404), res.end("no")) },
  { name: "a status of its own", app: (_, res) => res.writeHead(299).end("x") },
  { name: "a status message", app: (_, res) => res.writeHead(200, "Fine by me").end("x") },
  {
    name: "statusMessage",
    app: (_, res) => ((res.statusMessage = "As you like"), res.end("x")),
  },
  { name: "writeHead with an object", app: (_, res) => res.writeHead(201, { "X-A": "1" }).end() },
  {
    name: "writeHead with an array of names and values in turn",
    app: (_, res) => res.writeHead(200, ["X-A", "1", "X-B", "2", "X-A", "3"]).end("x"),
  },
  {
    name: "writeHead with pairs",
    // The types know only the flat form.
    app: (_, res) => res.writeHead(200, [["X-A", "1"] as never, ["X-A", "2"] as never]).end("x"),
  },
  {
    name: "writeHead with message and fields over fields set before",
    app: (_, res) => {
      res.setHeader("X-A", "old");
      res.setHeader("X-B", "kept");
      res.writeHead(202, "Taken", { "X-A": "new" });
      res.end("x");
    },
  },
  {
    name: "several cookies",
    app: (_, res) => res.setHeader("Set-Cookie", ["a=1; Path=/", "b=2, c", "d=3"]).end("x"),
  },
  {
    name: "several cookies, appended",
    app: (_, res) => {
      res.setHeader("Set-Cookie", "a=1");
      res.appendHeader("Set-Cookie", ["b=2", "c=3"]);
      res.end("x");
    },
  },
  {
    name: "one field several times",
    app: (_, res) => res.setHeader("Vary", ["Accept", "Cookie"]).setHeader("X-N", 7).end("x"),
  },
  {
    name: "a field that was removed",
    app: (_, res) => {
      res.setHeader("X-A", "1");
      res.removeHeader("x-a");
      res.end(String(res.hasHeader("X-A")));
    },
  },
  { name: "a field outside of ASCII", app: (_, res) => res.setHeader("X-A", "José").end() },
  { name: "an empty field", app: (_, res) => res.setHeader("X-A", "").end("x") },
  { name: "Connection: close", app: (_, res) => res.setHeader("Connection", "close").end("x") },
  {
    name: "writes in one turn",
    app: (_, res) => {
      for (let index = 0; index < 100; index++) res.write(`${index},`);
      res.end("end");
    },
  },
  {
    name: "writes over time",
    app: async (_, res) => {
      for (const text of ["one\n", "two\n", "three\n"]) {
        res.write(text);
        await delay(1);
      }
      res.end();
    },
  },
  {
    name: "writes over time with a length",
    app: async (_, res) => {
      res.writeHead(200, { "Content-Length": 6 });
      res.write("abc");
      await delay(1);
      res.end("def");
    },
  },
  {
    name: "a head long before its body",
    app: async (_, res) => {
      res.flushHeaders();
      await delay(5);
      res.end("late");
    },
  },
  {
    name: "chunked by the application's wish",
    app: (_, res) => {
      res.writeHead(200, { "Transfer-Encoding": "chunked" });
      res.write("a\r\n0\r\n\r\n");
      res.end(LARGE);
    },
  },
  {
    name: "trailers",
    app: (_, res) => {
      res.writeHead(200, { Trailer: "X-Sum" });
      res.write("body");
      res.addTrailers({ "X-Sum": "1" });
      res.end();
    },
  },
  {
    name: "interim answers",
    app: (_, res) => {
      res.writeContinue();
      res.writeProcessing();
      res.writeEarlyHints({ link: "</a.css>; rel=preload" });
      res.end("final");
    },
  },
  { name: "a large body", app: (_, res) => res.end(LARGE) },
  { name: "a large text", app: (_, res) => res.end("é".repeat(50_000)) },
  { name: "a pipe", app: (_, res) => Readable.from([LARGE, "x", LARGE]).pipe(res) },
  {
    name: "a pipe through gzip",
    app: (_, res) => {
      res.setHeader("Content-Encoding", "gzip");
      Readable.from([LARGE]).pipe(createGzip()).pipe(res);
    },
  },
  {
    name: "writes that wait for drain, then a pipe",
    app: async (_, res) => {
      for (let index = 0; index < 8; index++) {
        if (!res.write(LARGE)) await once(res, "drain");
      }
      await pipeline(Readable.from([LARGE, LARGE]), res);
    },
  },
  {
    name: "corked writes",
    app: (_, res) => {
      res.cork();
      res.write("a");
      res.write("b");
      res.uncork();
      res.end("c");
    },
  },
  {
    name: "the request line and fields",
    method: "PUT",
    target: "/a%20b/c%2Fd?x=1&y=%C3%A9&z",
    fields: { "x-one": "1", cookie: "a=1; b=2", accept: "text/html, */*;q=0.1" },
    app: (req, res) => {
      const { method, url, httpVersion, headers, rawHeaders, headersDistinct } = req;
      const { connection: _connection, ...others } = headers;
      const names = rawHeaders.map((text) => text.toLowerCase()).filter((text) => text !== "host");
      res.end(
        JSON.stringify([
          method,
          url,
          httpVersion,
          others["x-one"],
          others.cookie,
          names.length > 4,
        ]),
      );
      assert.deepEqual(headersDistinct["x-one"], ["1"]);
    },
  },
  {
    name: "a body",
    method: "POST",
    body: "a=1&b=2",
    app: async (req, res) => res.end(`${await readText(req)} ${req.complete}`),
  },
  {
    name: "a large body echoed",
    method: "POST",
    body: LARGE,
    app: (req, res) => req.pipe(res),
  },
  {
    name: "a chunked body echoed",
    method: "POST",
    body: LARGE,
    isChunked: true,
    app: (req, res) => {
      res.setHeader("x-te", req.headers["transfer-encoding"] ?? "none");
      req.pipe(res);
    },
  },
  {
    name: "a body that is iterated",
    method: "POST",
    body: LARGE,
    app: async (req, res) => {
      let size = 0;
      for await (const chunk of req) size += (chunk as Buffer).length; // what a request yields
      res.end(`${size} ${req.readableEnded} ${req.aborted}`);
    },
  },
  {
    name: "a body that is read by events",
    method: "POST",
    body: "text",
    app: (req, res) => {
      let text = "";
      req.setEncoding("utf8");
      req.on("data", (chunk: string) => (text += chunk));
      req.on("end", () => res.end(text));
    },
  },
  {
    name: "a body that is not read",
    method: "POST",
    body: "ignored",
    app: (_, res) => res.writeHead(401).end("who?"),
  },
  {
    name: "a body of nothing",
    method: "POST",
    body: "",
    app: async (req, res) => res.end(`[${await readText(req)}]${req.headers["content-length"]}`),
  },
  {
    name: "no body",
    app: async (req, res) => res.end(`[${await readText(req)}]${req.headers["content-length"]}`),
  },
  {
    name: "events of the two objects",
    app: (req, res) => {
      const events: string[] = [];
      req.on("end", () => events.push("end"));
      res.on("pipe", () => events.push("pipe"));
      req.resume();
      req.on("close", () => {
        events.push("close");
        Readable.from(["x"])
          .on("end", () => res.write(events.join()))
          .pipe(res, { end: true });
      });
    },
  },
  {
    name: "another prototype under both, as Express puts one",
    app: (req, res) => {
      // oxlint-disable-next-line unicorn/no-null -- a prototype between the object and its class
      Object.setPrototypeOf(req, Object.create(IncomingMessage.prototype) as object);
      Object.setPrototypeOf(res, Object.create(ServerResponse.prototype) as object);
      assert.ok(req instanceof IncomingMessage && res instanceof ServerResponse);
      res.setHeader("Transfer-Encoding", "chunked");
      res.write("a");
      req.resume().on("end", () => res.end("b"));
    },
  },
  {
    name: "state of the response while it is made",
    app: (_, res) => {
      const states = [res.headersSent, res.writableEnded, res.writable];
      res.write("x");
      states.push(res.headersSent, res.writableEnded, res.socket?.writable ?? false);
      res.end(JSON.stringify(states));
    },
  },
  {
    name: "an error of headers that were sent",
    app: (_, res) => {
      res.write("x");
      assert.throws(() => res.setHeader("a", "b"), { code: "ERR_HTTP_HEADERS_SENT" });
      res.end();
    },
  },
  {
    name: "a field that is not allowed",
    app: (_, res) => {
      assert.throws(() => res.setHeader("a", "b\r\nc"), { code: "ERR_INVALID_CHAR" });
      res.end("refused");
    },
  },
];

interface Answer {
  status: number;
  statusText: string;
  /** Sorted by name, as a `Headers` object joins them. */
  fields: [string, string][];
  /** One character per byte. */
  body: string;
}

describe("fromNode()", { timeout: 60_000 }, () => {
  describe("answers as http.createServer does", () => {
    let app: Listener | null = null;
    const server = createServer((req, res) => app?.(req, res));
    before(async () => {
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
    });
    after(() => server.close());

    for (const { name, app: listener, ...sent } of CASES) {
      it(name, async () => {
        app = listener;
        // The server listens on a port.
        const { port } = server.address() as AddressInfo;
        const expected = await askNode(port, sent);
        assert.deepEqual(await ask(fromNode(listener), sent), expected);
      });
    }

    it(`has ${CASES.length} cases`, () => assert.ok(CASES.length >= 40));
  });

  it("tells the application who asks, and how", async () => {
    const seen: unknown[] = [];
    const handler = fromNode((req, res) => {
      const socket = req.socket as typeof req.socket & { encrypted?: boolean };
      seen.push(socket.remoteAddress, socket.remoteFamily, socket.encrypted, socket.localPort);
      assert.equal(res.socket, req.socket);
      assert.equal(res.req, req);
      res.end();
    });
    await handler(get("https://example.com/"), CONTEXT);
    await handler(get("http://example.com:8080/"), { ...CONTEXT, clientAddress: "2001:db8::1" });
    assert.deepEqual(seen.slice(0, 4), ["192.0.2.7", "IPv4", true, 443]);
    assert.deepEqual(seen.slice(4), ["2001:db8::1", "IPv6", undefined, 8080]);
  });

  it("is called as a function and as fetch(request, env, context)", async () => {
    const handler = fromNode((req, res) => res.end(req.socket.remoteAddress));
    // `fetch` handlers have one argument more.
    const fetch = handler as unknown as (...args: unknown[]) => Promise<Response>;
    assert.equal(await (await fetch(get("http://a/"), {}, CONTEXT)).text(), "192.0.2.7");
    assert.equal(await (await fetch(get("http://a/"))).text(), "");
  });

  it("takes requests that middleware made, with the body that they have", async () => {
    const handler = fromNode(async (req, res) => {
      const { url, headers } = req;
      const text = await readText(req);
      res.end(
        [url, headers["x-a"], headers["content-length"], headers["transfer-encoding"], text].join(),
      );
    });
    const inner = new Request("http://a/x?y#z", {
      method: "POST",
      headers: { "x-a": "1" },
      body: "text",
    });
    assert.equal(await textOf(handler(inner, CONTEXT)), "/x?y,1,,chunked,text");
    // A GET has no body here, whatever came.
    const length = createRequest({
      ...GET,
      fields: "content-length\n4\nx-a\n2",
      body: Buffer.from("text"),
    });
    assert.equal(await textOf(handler(length, CONTEXT)), "/,2,,,");
  });

  it("frames the body that a middleware replaces, whatever length the client's had", async () => {
    const handler = fromNode(async (req, res) => {
      const { headers } = req;
      const text = await readText(req);
      res.end([headers["content-length"], headers["transfer-encoding"], text].join());
    });
    const fields = "content-length\n4\nx-a\n2";
    const received = (): Request =>
      createRequest({ ...GET, method: "POST", fields, body: Buffer.from("text") });
    assert.equal(await textOf(handler(received(), CONTEXT)), "4,,text");
    const longer = new Request(received(), { method: "POST", body: "longer text" });
    assert.equal(await textOf(handler(longer, CONTEXT)), ",chunked,longer text");
    const changed = received();
    changed.headers.set("content-length", "9");
    assert.equal(await textOf(handler(changed, CONTEXT)), "4,,text");
  });

  it("lets the application wait for a client that does not read", async () => {
    let written = 0;
    const closed = new AbortController();
    const handler = fromNode(async (_, res) => {
      res.on("close", () => closed.abort());
      while (!closed.signal.aborted) {
        written += LARGE.length;
        if (!res.write(LARGE)) await Promise.race([once(res, "drain"), once(res, "close")]);
      }
    });
    const response = await handler(get("http://a/"), CONTEXT);
    await turns(20);
    assert.equal(written, LARGE.length);
    const reader = response.body?.getReader();
    for (let count = 0; count < 3; count++) await reader?.read();
    await turns(20);
    assert.ok(written >= 3 * LARGE.length && written <= 5 * LARGE.length, `${written} bytes`);
    await reader?.cancel();
    await turns(5);
    assert.equal(closed.signal.aborted, true);
  });

  it("reads no more of a body than the application takes", async () => {
    let pulls = 0;
    const body = new ReadableStream<Uint8Array>(
      { pull: (controller) => (pulls++, controller.enqueue(new Uint8Array(50_000))) },
      { highWaterMark: 0 },
    );
    let isCancelled = false;
    const cancelled = new ReadableStream<Uint8Array>({ cancel: () => void (isCancelled = true) });
    const handler = fromNode(async (req, res) => {
      await turns(20);
      const atFirst = pulls;
      req.read(1);
      await turns(20);
      res.end(`${atFirst} ${pulls}`);
    });
    const post = { ...GET, method: "POST" };
    assert.match(await textOf(handler(createRequest({ ...post, body }), CONTEXT)), /^0 [12]$/);
    const ignores = fromNode((_, res) => res.end());
    await ignores(createRequest({ ...post, body: cancelled }), CONTEXT);
    await turns(5);
    assert.equal(isCancelled, true);
  });

  describe("when the client leaves", () => {
    for (const moment of ["before the head", "while it streams"]) {
      it(`tells the application ${moment}`, async () => {
        const events: string[] = [];
        const handler = fromNode((req, res) => {
          req.on("aborted", () => events.push("aborted"));
          req.on("error", (error) => events.push((error as NodeJS.ErrnoException).code ?? "?"));
          req.on("close", () => events.push("req close"));
          res.on("close", () => events.push("res close"));
          res.on("finish", () => events.push("finish"));
          if (moment !== "before the head") res.write("begun");
        });
        const request = createRequest({ ...GET, method: "POST", body: new ReadableStream() });
        const answer = Promise.resolve(handler(request, CONTEXT));
        const reason = new DOMException("gone", "AbortError");
        const response = moment === "before the head" ? null : await answer;
        abortRequest(request, reason);
        if (response === null) await assert.rejects(answer, reason);
        else await assert.rejects(response.text(), { code: "ECONNRESET" });
        await turns(5);
        assert.deepEqual(events.toSorted(), ["ECONNRESET", "aborted", "req close", "res close"]);
      });
    }

    it("is not disturbed by what the application does then", async () => {
      const handler = fromNode(async (req, res) => {
        await once(req, "close");
        res.setHeader("a", "b");
        res.write("x");
        res.end("y");
        throw new Error("gone, too");
      });
      const request = get("http://a/");
      const answer = handler(request, CONTEXT);
      abortRequest(request, new Error("left"));
      await assert.rejects(Promise.resolve(answer), { message: "left" });
      await turns(5);
    });
  });

  describe("next", () => {
    it("without an error is answered 404", async () => {
      for (const nothing of [undefined, null, "route", "router"]) {
        const response = await failing(nothing)(get("http://a/"), CONTEXT);
        assert.deepEqual(
          [response.status, response.headers.get("x-by"), await response.text()],
          [404, "app", "Not Found\n"],
        );
      }
    });

    it("with an error of the client's is answered with its status and fields", async () => {
      const error = Object.assign(new Error("x"), {
        statusCode: 429,
        headers: { "retry-after": 5 },
      });
      const response = await failing(error)(get("http://a/"), CONTEXT);
      assert.deepEqual(
        [response.status, response.headers.get("retry-after"), await response.text()],
        [429, "5", "Too Many Requests\n"],
      );
    });

    it("with any other error throws it", async () => {
      for (const error of [
        new Error("x"),
        Object.assign(new Error("y"), { status: 503 }),
        "text",
        7,
      ]) {
        await assert.rejects(
          Promise.resolve(failing(error)(get("http://a/"), CONTEXT)),
          (thrown) => thrown === error,
        );
      }
    });

    it("is not given to a function of two parameters", async () => {
      assert.equal(await textOf(fromNode(counted)(get("http://a/"), CONTEXT)), "2");
    });
  });

  describe("an application that fails", () => {
    const APPS: Readonly<Record<string, Listener>> = {
      throws: () => {
        throw new Error("broken");
      },
      rejects: async () => {
        await turns(1);
        throw new Error("broken");
      },
      destroys: (_, res) => res.destroy(new Error("broken")),
      "destroys the request": (req) => req.destroy(new Error("broken")),
      "destroys the socket": (req) => req.socket.destroy(new Error("broken")),
    };
    for (const [name, app] of Object.entries(APPS)) {
      it(`${name} before its head: the handler fails with it`, async () => {
        await assert.rejects(Promise.resolve(fromNode(app)(get("http://a/"), CONTEXT)), {
          message: "broken",
        });
      });

      it(`${name} after its head: the body breaks`, async () => {
        const handler = fromNode(async (req, res) => {
          res.write("begun");
          await turns(5);
          await app(req, res);
        });
        const response = await handler(get("http://a/"), CONTEXT);
        await assert.rejects(response.text(), { message: "broken" });
      });
    }

    it("closes the connection without an answer: says so", async () => {
      for (const app of [
        (req: IncomingMessage) => req.socket.end(),
        (_: IncomingMessage, res: ServerResponse) => res.destroy(),
      ]) {
        await assert.rejects(Promise.resolve(fromNode(app)(get("http://a/"), CONTEXT)), {
          message:
            "Cannot answer: the application closed the connection before its answer was complete",
        });
      }
    });

    it("fails after its answer: the log has it", async () => {
      const logged: unknown[] = [];
      const log = { error: (line: unknown) => logged.push(line) } as unknown as Context["log"];
      const error = new Error("late");
      const handler = fromNode(async (_, res) => {
        res.end("done");
        await turns(3);
        throw error;
      });
      assert.equal(await textOf(handler(get("http://a/"), { ...CONTEXT, log })), "done");
      await turns(5);
      assert.deepEqual(logged, [{ err: error }]);
    });

    it("answers with a status that no answer has", async () => {
      await assert.rejects(
        Promise.resolve(fromNode((_, res) => res.writeHead(700).end())(get("http://a/"), CONTEXT)),
        RangeError,
      );
    });
  });

  it("emits the events of a complete exchange once each, in Node's order", async () => {
    const events: string[] = [];
    const handler = fromNode((req, res) => {
      for (const name of ["prefinish", "finish", "close", "error"]) {
        res.on(name, () => events.push(`res ${name}`));
      }
      for (const name of ["end", "close", "aborted", "error"]) {
        req.on(name, () => events.push(`req ${name}`));
      }
      res.end("x");
    });
    await textOf(handler(get("http://a/"), CONTEXT));
    await turns(5);
    assert.deepEqual(events.toSorted(), [
      "req close",
      "req end",
      "res close",
      "res finish",
      "res prefinish",
    ]);
    assert.deepEqual(events.slice(0, 2), ["res prefinish", "res finish"]);
  });

  it("keeps time for setTimeout() of request, response and socket", async () => {
    const handler = fromNode((_, res) => {
      res.setTimeout(5, () => res.writeHead(408).end());
    });
    // The timer holds no process, and here is nothing else that does.
    const [response] = await Promise.all([handler(get("http://a/"), CONTEXT), delay(50)]);
    assert.equal(response.status, 408);
    const silent = fromNode((req) => req.setTimeout(5));
    await Promise.all([
      assert.rejects(Promise.resolve(silent(get("http://a/"), CONTEXT))),
      delay(50),
    ]);
  });

  it("takes applications of Koa and Fastify, and servers", async () => {
    const koa = {
      text: "koa",
      callback: () => (_: unknown, res: ServerResponse) => res.end(koa.text),
    };
    let isReady = false;
    const fastify = {
      ready: async () => {
        await turns(2);
        isReady = true;
      },
      routing: (_: unknown, res: ServerResponse) => res.end(`ready ${isReady}`),
    };
    const server = createServer((_, res) => res.end("server"));
    const texts = [koa, fastify, server].map((app) =>
      textOf(fromNode(app)(get("http://a/"), CONTEXT)),
    );
    assert.deepEqual(await Promise.all(texts), ["koa", "ready true", "server"]);
  });

  const MISTAKES: readonly [app: unknown, message: RegExp][] = [
    [undefined, /found undefined, expected a function \(req, res\)/],
    ["app", /found a string, expected/],
    [Promise.resolve(), /found a promise, .*await it, "fromNode\(await app\)"/],
    [
      { getHttpAdapter() {} },
      /NestJS application, .*fromNode\(app\.getHttpAdapter\(\)\.getInstance\(\)\)/,
    ],
    [{ fetch() {} }, /a handler already: "export default app"/],
    [{ a: 1, b: 2 }, /found an object with a, b, expected/],
  ];
  for (const [app, message] of MISTAKES) {
    it(`refuses with ${String(message)}`, () => {
      assert.throws(() => fromNode(app as NodeApplication), { name: "TypeError", message });
    });
  }
});

const GET = { method: "GET", url: "http://a/", fields: "", body: null };

function failing(error?: unknown): HandlerFunction {
  return fromNode((_req, res, next) => {
    res.setHeader("x-by", "app");
    res.setHeader("content-length", "1234");
    next(error);
  });
}

function counted(...args: unknown[]): void {
  // The second is what every such function gets.
  (args[1] as ServerResponse).end(`${args.length}`);
}

function get(url: string): Request {
  return createRequest({ ...GET, url });
}

async function textOf(answer: Response | Promise<Response>): Promise<string> {
  return (await answer).text();
}

/** Lets everything that is due run, so many turns of the event loop. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate);
}

async function askNode(port: number, sent: Sent): Promise<Answer> {
  const { method = "GET", target = "/", fields = {}, body, isChunked = false } = sent;
  const headers = { ...fields, ...(isChunked ? { "transfer-encoding": "chunked" } : {}) };
  const sending = sendRequest({ port, method, path: target, headers, agent: false });
  sending.end(body);
  // Of this event the types say only that it has arguments.
  const [incoming] = (await once(sending, "response")) as [IncomingMessage];
  const bytes = await buffer(incoming);
  const received = new Headers();
  const { rawHeaders } = incoming;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    received.append(rawHeaders[at] ?? "", rawHeaders[at + 1] ?? "");
  }
  return {
    status: incoming.statusCode ?? 0,
    statusText: incoming.statusMessage ?? "",
    fields: keptFields(received, method),
    body: bytes.toString("latin1"),
  };
}

async function ask(handler: HandlerFunction, sent: Sent): Promise<Answer> {
  const { method = "GET" } = sent;
  const response = await handler(toRequest(sent), CONTEXT);
  return {
    status: response.status,
    statusText: response.statusText || (STATUS_CODES[response.status] ?? "unknown"),
    fields: keptFields(response.headers, method),
    body: Buffer.from(await response.arrayBuffer()).toString("latin1"),
  };
}

/** A request as a worker makes it. */
function toRequest({ method = "GET", target = "/", fields = {}, body, isChunked }: Sent): Request {
  const bytes = body === undefined ? null : Buffer.from(body);
  const length =
    isChunked === true ? ["transfer-encoding", "chunked"] : ["content-length", `${bytes?.length}`];
  const block = ["host", "127.0.0.1", ...Object.entries(fields).flat()];
  if (bytes !== null) block.push(...length);
  return createRequest({
    method,
    url: `http://127.0.0.1:8080${target}`,
    fields: block.join("\n"),
    body: bytes !== null && isChunked === true ? toStream(bytes) : bytes,
  });
}

function toStream(bytes: Uint8Array): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller): void {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(new Uint8Array(bytes.subarray(at, at + 50_000)));
      at += 50_000;
    },
  });
}

/** Without the connection's fields. The length of a complete body is the server's to write. */
function keptFields(headers: Headers, method: string): [string, string][] {
  const dropped = ["connection", "date", "keep-alive", "trailer", "transfer-encoding"];
  if (method !== "HEAD") dropped.push("content-length");
  return [...headers].filter(([name]) => !dropped.includes(name));
}

// The parts of a context that `fromNode` uses.
const CONTEXT = { clientAddress: "192.0.2.7" } as Context;
