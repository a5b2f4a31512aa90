import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { brotliCompressSync, deflateSync, gunzipSync, gzipSync } from "node:zlib";
import { eventually } from "../helpers/eventually.ts";
import { fieldValue, type Received, send } from "../helpers/send.ts";
import { type LogLine, startServer, type TestServer } from "../helpers/start-server.ts";

const TEXT = "hello ".repeat(50);

/** What classes of other packages have in common with `Response`, and where they differ. */
const FOREIGN = `
  import { Readable } from "node:stream";
  class Plain {
    status = 201; statusText = "Made"; bodyUsed = false; type = "default"; url = "";
    headers = new Headers({ "X-Kind": "plain" });
    constructor(body) { this.body = body; }
    async arrayBuffer() { return new ArrayBuffer(0); }
  }
  class Named extends Plain { get [Symbol.toStringTag]() { return "Response"; } }
  const bytes = (text) => new TextEncoder().encode(text);
  /** A stream of another class, as web-streams-polyfill and @whatwg-node/fetch have. */
  const otherStream = (text) => {
    const stream = new Blob([text]).stream();
    return { getReader: () => stream.getReader(), cancel: (reason) => stream.cancel(reason) };
  };
  /** As node-fetch: iteration joins cookies. */
  const oldHeaders = {
    *[Symbol.iterator]() { yield ["set-cookie", "a=1, b=2"]; yield ["X-Kind", "old"]; },
    raw: () => ({ "set-cookie": ["a=1", "b=2"], "x-kind": ["old"] }),
  };
  const kinds = {
    stream: () => new Plain(new Blob(["stream"]).stream()),
    "other-stream": () => new Named(otherStream("other-stream")),
    node: () => Object.assign(new Named(Readable.from([bytes("no"), bytes("de")])), { headers: oldHeaders }),
    text: () => new Plain((async function* () { yield "te"; yield "xt"; })()),
    buffer: () => new Plain((async function* () { yield bytes("buffer").buffer; })()),
    none: () => new Plain(null),
    "no-content": () => Object.assign(new Plain(null), { status: 204 }),
    thrown: () => { throw new Plain(new Blob(["thrown"]).stream()); },
    used: () => Object.assign(new Plain(new Blob(["x"]).stream()), { bodyUsed: true }),
    fetched: () => Object.assign(new Plain(new Blob(["fetched"]).stream()), {
      url: "http://other/", headers: new Headers({ "content-encoding": "gzip", "content-length": "3", "x-kind": "f" }),
    }),
  };
  export default (request, { params }) => kinds[params.kind]();
`;

const HANDLERS = {
  "foreign/[kind].ts": FOREIGN,
  "wrapped/_middleware.ts": `export default async (request, context, next) => {
    const response = await next();
    response.headers.set("x-middleware", "yes");
    const copy = new URL(request.url).searchParams.has("copy") ? response.clone() : response;
    return copy;
  };`,
  "wrapped/[kind].ts": FOREIGN,
  "wrapped/redirect.ts": `export default () => Response.redirect("http://localhost/there");`,
  "wrapped/thrown-redirect.ts": `export default () => { throw Response.redirect("http://localhost/there"); };`,
  "wrapped/fetch/[coding].ts": `export default (request, { params, env }) => fetch(env.UPSTREAM + params.coding);`,
  "missing/_404.ts": FOREIGN.replace("params.kind", "'stream'").replace(
    "status = 201",
    "status = 200",
  ),
  "fetch/[coding].ts": `export default (request, { params, env }) => fetch(env.UPSTREAM + params.coding);`,
  "copy/[coding].ts": `export default async (request, { params, env }) => {
    const upstream = await fetch(env.UPSTREAM + params.coding);
    return new Response(upstream.body, upstream);
  };`,
  "clone/[coding].ts": `export default async (request, { params, env }) =>
    (await fetch(env.UPSTREAM + params.coding)).clone();`,
  "tee/[coding].ts": `export default async (request, { params, env }) => {
    const upstream = await fetch(env.UPSTREAM + params.coding);
    return new Response(upstream.body.tee()[0], upstream);
  };`,
  "own/[coding].ts": `import { gzipSync } from "node:zlib";
    const headers = { "content-encoding": "gzip" };
    export default () => new Response(new Blob([gzipSync("own")]).stream(), { headers });`,
  "length/[kind].ts": `
    const stream = (text) => new Blob([text]).stream();
    const announce = (length) => ({ headers: { "content-length": String(length) } });
    const kinds = {
      "too-long": () => new Response(stream("abcdef"), announce(3)),
      "too-short": () => new Response(stream("abc"), announce(6)),
      "late": () => new Response(ReadableStream.from((async function* () {
        yield Buffer.from("abc"); await new Promise(setImmediate); yield Buffer.from("def");
      })()), announce(4)),
      "beyond": () => new Response(stream("abc"), announce("9".repeat(20))),
      "right": () => new Response(stream("abc"), announce(3)),
      "text": () => new Response("abc", announce(6)),
      "large": () => new Response("x".repeat(100_000), announce(6)),
      "none": () => new Response(null, announce(6)),
    };
    export default (request, { params }) => kinds[params.kind]();`,
  "left/timer.ts": `export default () => new Response(new ReadableStream({
    start(controller) {
      controller.enqueue(Buffer.from("first"));
      setInterval(() => controller.enqueue(Buffer.from("x")), 5).unref();
    },
  }));`,
  "left/piped.ts": `export default () => new Response(new ReadableStream({
    start(controller) {
      controller.enqueue("first");
      setInterval(() => controller.enqueue("x"), 5).unref();
    },
  }).pipeThrough(new TextEncoderStream()));`,
  "left/writer.ts": `export default () => {
    const { readable, writable } = new TransformStream();
    const writer = writable.getWriter();
    setInterval(() => void writer.write(Buffer.from("x")), 5).unref();
    return new Response(readable);
  };`,
  "left/loop.ts": `import { setTimeout } from "node:timers/promises";
  export default () => new Response(new ReadableStream({
    async start(controller) {
      for (;;) {
        controller.enqueue(Buffer.from("x"));
        await setTimeout(5);
      }
    },
  }));`,
  "left/fetch.ts": `export default (request, { env }) => {
    for (let n = 0; n < 3; n++) void fetch(env.UPSTREAM + "never", { signal: request.signal });
    return new Promise(() => {});
  };`,
  "upload/_middleware.ts": `export default (request, context, next) =>
    next(new URL(request.url).searchParams.has("again") ? new Request(request) : request);`,
  "upload/[how].ts": `export const config = { bodyBufferBytes: 100_000, bodyLimitBytes: 10_000_000 };
  export const POST = async (request) => {
    const form = await request.formData();
    const file = form.get("f");
    return Response.json([file.name, file.size, form.get("t")]);
  };`,
  "pid.ts": `export default () => Response.json(process.pid);`,
};

describe("answers of handlers", { timeout: 180_000 }, () => {
  let server: TestServer;
  /** Number of requests that the upstream has got and never answers. */
  let neverAsked = 0;
  const cleanups: (() => void | Promise<void>)[] = [];
  const owner = { after: (callback: () => void | Promise<void>) => void cleanups.push(callback) };

  before(async () => {
    const upstream = createServer((request, response) => {
      const coding = (request.url ?? "/").slice(1);
      if (coding === "never") {
        neverAsked++;
        return;
      }
      const encode = CODINGS[coding] ?? ((text: string) => Buffer.from(text));
      const bytes = encode(TEXT);
      response.writeHead(200, {
        ...(coding === "plain" ? {} : { "content-encoding": coding }),
        "content-length": bytes.length,
        "x-upstream": coding,
      });
      response.end(bytes);
    });
    await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
    cleanups.push(() => {
      upstream.close();
      upstream.closeAllConnections();
    });
    const { port } = upstream.address() as AddressInfo;
    server = await startServer(owner, {
      handlers: HANDLERS,
      workers: 1,
      env: { UPSTREAM: `http://127.0.0.1:${port}/` },
    });
  });
  after(async () => {
    for (const cleanup of cleanups) await cleanup();
  });

  const get = (path: string): Promise<Received> => send(server.http + path);

  describe("are responses of any class", () => {
    for (const [kind, status, text] of [
      ["stream", 201, "stream"],
      ["other-stream", 201, "other-stream"],
      ["node", 201, "node"],
      ["text", 201, "text"],
      ["buffer", 201, "buffer"],
      ["none", 201, ""],
      ["no-content", 204, ""],
      ["thrown", 201, "thrown"],
      ["fetched", 201, "fetched"],
      ["used", 500, "Internal Server Error\n"],
    ] as const) {
      it(`${kind}: ${status}`, async () => {
        const received = await get(`/foreign/${kind}`);
        assert.deepEqual([received.status, received.text.split("Request")[0]], [status, text]);
        assert.equal(fieldValue(received, "content-encoding"), undefined);
        if (status === 500) return;
        assert.ok(fieldValue(received, "x-kind"));
        const wrapped = await get(`/wrapped/${kind}`);
        assert.deepEqual([wrapped.status, wrapped.text], [status, text]);
        assert.equal(fieldValue(wrapped, "x-middleware"), "yes");
      });
    }

    it("keep cookies apart that their class joins", async () => {
      const { fields } = await get("/foreign/node");
      const cookies = fields.filter(([name]) => name === "set-cookie").map(([, value]) => value);
      assert.deepEqual(cookies, ["a=1", "b=2"]);
    });

    it("are 404 from _404 when they say 200", async () => {
      const { status, text } = await get("/missing/x");
      assert.deepEqual([status, text], [404, "stream"]);
    });
  });

  describe("that fetch() has decoded", () => {
    for (const path of ["fetch", "copy", "clone", "wrapped/fetch"]) {
      it(`are sent without the fields of the coded body: ${path}`, async () => {
        for (const coding of [...Object.keys(CODINGS), "plain"]) {
          const received = await get(`/${path}/${coding}`);
          assert.deepEqual([received.status, received.text], [200, TEXT], coding);
          assert.equal(fieldValue(received, "content-encoding"), undefined);
          assert.equal(fieldValue(received, "x-upstream"), coding);
          const length = coding === "plain" ? String(TEXT.length) : undefined;
          // A body that came as a whole is sent with its own length.
          assert.ok([length, String(TEXT.length)].includes(fieldValue(received, "content-length")));
        }
      });
    }

    it("are told apart from what is still coded", async () => {
      const odd = await get("/fetch/odd");
      assert.equal(fieldValue(odd, "content-encoding"), "odd");
      assert.equal(odd.text, TEXT);
      const own = await get("/own/gzip");
      assert.equal(fieldValue(own, "content-encoding"), "gzip");
      assert.equal(gunzipSync(own.body).toString(), "own");
    });

    it("are named in the log when a handler sends them through tee()", async () => {
      const { status } = await get("/tee/gzip");
      assert.equal(status, 500);
      const line = await server.until(
        ({ msg, route }) => msg === "response stream failed" && route === "/tee/:coding",
      );
      assert.match(JSON.stringify(line["err"]), /delete content-encoding and content-length/);
    });

    it("have no fields of a coded body for HEAD either", async () => {
      const head = await send(`${server.http}/fetch/gzip`, { method: "HEAD" });
      assert.equal(fieldValue(head, "content-encoding"), undefined);
      assert.equal(fieldValue(head, "content-length"), undefined);
    });
  });

  it("can be changed by middleware, redirects and those of fetch() too", async () => {
    for (const query of ["", "?copy"]) {
      for (const path of ["redirect", "thrown-redirect"]) {
        const redirect = await get(`/wrapped/${path}${query}`);
        assert.equal(redirect.status, 302);
        assert.equal(fieldValue(redirect, "location"), "http://localhost/there");
        assert.equal(fieldValue(redirect, "x-middleware"), "yes");
      }
      const fetched = await get(`/wrapped/fetch/gzip${query}`);
      assert.deepEqual([fetched.status, fetched.text], [200, TEXT]);
      assert.equal(fieldValue(fetched, "x-middleware"), "yes");
      assert.equal(fieldValue(fetched, "x-upstream"), "gzip");
    }
  });

  it("have the files of .NET, in a body that is whole, in one that streams, and in a copy", async () => {
    for (const size of [10, 1_000_000]) {
      for (const query of ["", "?again"]) {
        const body =
          `--b\r\nContent-Disposition: form-data; name=t\r\n\r\ntext\r\n` +
          `--b\r\nContent-Disposition: form-data; name=f; filename*=UTF-8''na%C3%AFve.txt\r\n\r\n` +
          `${"x".repeat(size)}\r\n--b--\r\n`;
        const headers = { "content-type": 'multipart/form-data; boundary="b"' };
        const sent = { method: "POST", headers, body };
        const received = await send(`${server.http}/upload/x${query}`, sent);
        assert.equal(received.text, JSON.stringify(["naïve.txt", size, "text"]), query);
      }
    }
  });

  describe("with a content-length that is not the length of their body", () => {
    const LATE = { status: "broken" };
    for (const [kind, expected, message] of [
      ["too-long", 500, /stream has 6 bytes or more, expected the 3 of its content-length/],
      ["too-short", LATE, /stream ended after 3 bytes, expected the 6 of its content-length/],
      ["late", LATE, /stream has 6 bytes or more, expected the 4 of its content-length/],
      // The library cannot count to it.
      ["beyond", LATE, /stream ended after 3 bytes, expected the 10{20} of its content-length/],
      ["text", "abc", /content-length of a response corrected/],
      ["large", "x".repeat(100_000), /content-length of a response corrected/],
      ["none", "", /content-length of a response corrected/],
    ] as const) {
      it(`are named once in the log, with route and request: ${kind}`, async () => {
        const seen = server.logs.length;
        const received = await get(`/length/${kind}`).catch(() => LATE);
        if (expected === LATE) assert.ok(received === LATE || received.status === 500);
        else if (typeof expected === "number") assert.equal(received.status, expected);
        else assert.equal("text" in received && received.text, expected);
        const isLine = matching(message);
        const line = await server.until(
          (each) => server.logs.indexOf(each) >= seen && isLine(each),
        );
        assert.equal(line["route"], "/length/:kind");
        assert.match(String(line["requestId"]), /./);
        await server.fetch("/pid");
        assert.equal(server.logs.slice(seen).filter(isLine).length, 1);
      });
    }

    it("are no matter where it is right", async () => {
      const seen = server.logs.length;
      assert.equal((await get("/length/right")).text, "abc");
      assert.doesNotMatch(JSON.stringify(server.logs.slice(seen)), /content-length/);
    });
  });

  describe("that a handler goes on with after the client left", () => {
    for (const kind of ["timer", "piped", "writer", "loop", "fetch"]) {
      it(`cost no worker, and one log line: ${kind}`, async (t) => {
        const seen = server.logs.length;
        // A write through a pipe cannot be traced to its request.
        const isTraced = kind !== "piped";
        const isDeparture = ({ msg }: LogLine): boolean =>
          msg?.includes(isTraced ? "after its client left" : "to a stream that has ended") === true;
        const pid = await (await server.fetch("/pid")).text();
        const connection = await server.connect();
        connection.send(`GET /left/${kind} HTTP/1.1\r\nHost: a\r\n\r\n`);
        if (kind === "fetch") {
          // A server that is late would see the request and its end at once, and run no handler.
          await eventually(t, () => neverAsked === 3);
        } else {
          await connection.response({ head: true });
          await connection.chunk();
        }
        connection.destroy();
        const line = await server.until(
          (each) => server.logs.indexOf(each) >= seen && isDeparture(each),
        );
        assert.equal(line["route"], isTraced ? `/left/${kind}` : undefined);
        assert.equal(line["requestId"] !== undefined, isTraced);
        // Timers of the handler go on meanwhile.
        for (let n = 0; n < 10; n++) await delay(5);
        assert.equal(await (await server.fetch("/pid")).text(), pid);
        assert.equal(server.logs.slice(seen).filter(isDeparture).length, 1);
        assert.doesNotMatch(JSON.stringify(server.logs.slice(seen)), /unhandled|uncaught/);
      });
    }
  });
});

function matching(message: RegExp): (line: LogLine) => boolean {
  return (line) => message.test(JSON.stringify(line));
}

const CODINGS: Readonly<Record<string, (text: string) => Buffer>> = {
  gzip: gzipSync,
  deflate: deflateSync,
  br: brotliCompressSync,
};
