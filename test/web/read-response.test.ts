import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { gzipSync } from "node:zlib";
import { RuntimeError } from "../../runtime/lib/errors.ts";
import { readResponse } from "../../runtime/web/fast-response.ts";
import { installWebObjects } from "../../runtime/web/install.ts";

const OldResponse = globalThis.Response;
installWebObjects();

const TEXT = "content-type\ntext/plain;charset=UTF-8";

function isBadResponse(error: unknown): boolean {
  return error instanceof RuntimeError && error.code === "ERR_HANDLER_BAD_RESPONSE";
}

function ignore(): void {
  // A function is no response.
}

async function textOf(body: unknown): Promise<string> {
  return new OldResponse(body as ReadableStream).text(); // what `readResponse` gives is a body
}

describe("readResponse()", () => {
  const cases: [string, () => Response, unknown][] = [
    ["a text", () => new Response("hi"), { status: 200, statusText: "", fields: TEXT, body: "hi" }],
    [
      "no body",
      () => new Response(null, { status: 204, statusText: "Nothing" }),
      { status: 204, statusText: "Nothing", fields: "", body: null },
    ],
    [
      "bytes",
      () => new Response(new Uint8Array([1, 2])),
      { status: 200, statusText: "", fields: "", body: new Uint8Array([1, 2]) },
    ],
    [
      "json",
      () => Response.json({ a: 1 }, { status: 201 }),
      { status: 201, statusText: "", fields: "content-type\napplication/json", body: '{"a":1}' },
    ],
    [
      "a lone surrogate, which UTF-8 cannot have",
      () => new Response("a\ud800"),
      { status: 200, statusText: "", fields: TEXT, body: "a\ufffd" },
    ],
    [
      "headers of the init",
      () => new Response("x", { headers: { "Content-Type": "a/b", ETag: "1" } }),
      { status: 200, statusText: "", fields: "content-type\na/b\netag\n1", body: "x" },
    ],
    [
      "every cookie",
      () =>
        new Response(null, {
          headers: [
            ["Set-Cookie", "a=1"],
            ["set-cookie", "b=2"],
          ],
        }),
      { status: 200, statusText: "", fields: "set-cookie\na=1\nset-cookie\nb=2", body: null },
    ],
    [
      "a redirect",
      () => Response.redirect("http://a/ü", 303),
      { status: 303, statusText: "", fields: "location\nhttp://a/%C3%BC", body: null },
    ],
  ];
  for (const [name, create, expected] of cases) {
    it(`takes ${name}`, () => {
      const response = create();
      assert.deepEqual(readResponse(response), expected);
      assert.equal(response.bodyUsed, (expected as { body: unknown }).body !== null);
    });
  }

  it("takes headers that were changed after the response was made", () => {
    const response = new Response("x", { headers: { a: "1", b: "2" } });
    response.headers.delete("a");
    response.headers.set("b", "3");
    response.headers.append("set-cookie", "c=1");
    response.headers.append("set-cookie", "d=2");
    assert.equal(readResponse(response)?.fields, `b\n3\n${TEXT}\nset-cookie\nc=1\nset-cookie\nd=2`);
  });

  it("takes headers that were changed after the body was looked at", () => {
    const response = new Response("x");
    assert.notEqual(response.body, null);
    response.headers.set("content-type", "a/b");
    const parts = readResponse(response);
    assert.deepEqual([parts?.fields, parts?.body], ["content-type\na/b", "x"]);
  });

  it("takes no content-type that the handler deleted", () => {
    const response = new Response("x");
    response.headers.delete("content-type");
    void response.body;
    assert.equal(readResponse(new Response(response.body, response))?.fields, "");
  });

  it("takes the body of new Response(response.body, response) as a whole", () => {
    const first = new Response("x\ud800", { status: 404, headers: { a: "1" } });
    const second = new Response(first.body, first);
    second.headers.set("b", "2");
    const third = new Response(second.body, second);
    const parts = readResponse(third);
    assert.deepEqual(
      [parts?.status, parts?.fields, parts?.body],
      [404, `a\n1\nb\n2\n${TEXT}`, "x\ufffd"],
    );
    assert.deepEqual([first.bodyUsed, second.bodyUsed, third.bodyUsed], [true, true, true]);
    assert.equal(first.body?.locked, true);
    assert.throws(() => readResponse(first), isBadResponse);
  });

  it("takes a clone and its original apart", async () => {
    const response = new Response("x");
    const clone = response.clone();
    const { body } = response;
    const late = response.clone();
    assert.notEqual(body, null);
    assert.equal(readResponse(clone)?.body, "x");
    assert.equal(await textOf(readResponse(late)?.body), "x");
    assert.equal(await textOf(readResponse(response)?.body), "x");
  });

  it("gives the stream of a streamed body, unread", async () => {
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new Uint8Array([0x61]));
        controller.close();
      },
    });
    const parts = readResponse(new Response(stream, { headers: { a: "1" } }));
    assert.equal(parts?.body, stream);
    assert.deepEqual([parts?.fields, await textOf(parts?.body)], ["a\n1", "a"]);
  });

  it("takes forms and blobs with their types", async () => {
    const form = readResponse(new Response(new URLSearchParams({ a: "1" })));
    assert.equal(form?.fields, "content-type\napplication/x-www-form-urlencoded;charset=UTF-8");
    assert.equal(await textOf(form?.body), "a=1");
    const blob = readResponse(new Response(new Blob(["b"], { type: "x/y" })));
    assert.deepEqual([blob?.fields, await textOf(blob?.body)], ["content-type\nx/y", "b"]);
  });

  it("takes a response that fetch() gave, also changed", async (t) => {
    const server = createServer((_request, response) => {
      response.writeHead(418, "Teapot", { "x-a": "1", "set-cookie": ["a=1", "b=2"] }).end("tea");
    });
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const response = await fetch(`http://127.0.0.1:${port}/`);
    assert.equal(response.constructor, Response);
    assert.equal(Object.getPrototypeOf(response), Response.prototype);
    const changed = new Response(response.body, response);
    changed.headers.set("x-b", "2");
    const parts = readResponse(changed);
    assert.deepEqual([parts?.status, parts?.statusText], [418, "Teapot"]);
    assert.match(parts?.fields ?? "", /set-cookie\na=1\nset-cookie\nb=2\n.*x-a\n1\nx-b\n2$/s);
    assert.equal(await textOf(parts?.body), "tea");
    const direct = await fetch(`http://127.0.0.1:${port}/`);
    assert.equal(await textOf(readResponse(direct)?.body), "tea");
  });

  it("drops the coding that fetch() has decoded, also of clones", async (t) => {
    const zipped = gzipSync("tea");
    const server = createServer((_request, response) => {
      response.writeHead(200, { "content-encoding": "gzip", "x-a": "1" }).end(zipped);
    });
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const upstream = await fetch(`http://127.0.0.1:${port}/`);
    const response = new Response(upstream.body, upstream);
    const clone = response.clone();
    const second = new Response(clone.clone().body, clone);
    for (const each of [response, clone, second]) {
      const parts = readResponse(each);
      assert.match(parts?.fields ?? "", /x-a\n1/);
      assert.doesNotMatch(parts?.fields ?? "", /content-encoding/);
      assert.equal(await textOf(parts?.body), "tea");
    }
  });

  it("names a foreign response's body that is no stream", () => {
    const foreign = {
      [Symbol.toStringTag]: "Response",
      status: 200,
      headers: new Map(),
      body: "text",
    };
    assert.throws(() => readResponse(foreign), /found string, expected a stream/);
  });

  it("takes responses of Node's class, kept from before", async () => {
    const response = new OldResponse("old", { status: 203 });
    assert.ok(response instanceof Response);
    assert.ok(new Response("new") instanceof OldResponse);
    assert.equal(response.constructor, Response);
    const parts = readResponse(response);
    assert.deepEqual([parts?.status, parts?.fields, await textOf(parts?.body)], [203, TEXT, "old"]);
  });

  it("takes what a subclass or a property overrides", () => {
    class Derived extends Response {}
    assert.equal(readResponse(new Derived("x\ud800"))?.body, "x\ufffd");
    class Teapot extends Response {}
    Object.defineProperty(Teapot.prototype, "status", { get: () => 418 });
    assert.equal(readResponse(new Teapot("x"))?.status, 418);
    assert.equal(
      readResponse(Object.defineProperty(new Response("x"), "status", { value: 400 }))?.status,
      400,
    );
    const parts = readResponse(
      Object.defineProperty(new Response("x"), "headers", { value: { a: "1" } }),
    );
    assert.deepEqual([parts?.fields, parts?.body], ["a\n1", "x"]);
  });

  it("takes responses of another implementation", async () => {
    const foreign = {
      [Symbol.toStringTag]: "Response",
      status: 202,
      headers: new Map([["A", "1"]]),
      body: Readable.from([Buffer.from("node "), Buffer.from("stream")]),
      bodyUsed: false,
      arrayBuffer: () => Promise.resolve(new ArrayBuffer(0)),
    };
    const parts = readResponse(foreign);
    assert.deepEqual([parts?.status, parts?.statusText, parts?.fields], [202, "", "a\n1"]);
    assert.equal(await textOf(parts?.body), "node stream");
  });

  const others = [undefined, null, "Response", 5, {}, { status: 200 }, new Headers(), ignore];
  for (const value of others) {
    it(`gives null for ${inspect(value)}`, () => {
      assert.equal(readResponse(value), null);
    });
  }

  const refused: [string, () => Response | Promise<Response>][] = [
    ["Response.error()", () => Response.error()],
    [
      "a status that cannot be sent",
      () => Object.defineProperty(new Response(), "status", { value: 101 }),
    ],
    [
      "a body that was read",
      async () => {
        const response = new Response("x");
        await response.text();
        return response;
      },
    ],
    [
      "a streamed body that was read",
      async () => {
        const response = new Response(new Blob(["x"]));
        await response.text();
        return response;
      },
    ],
    [
      "a body that is locked",
      () => {
        const response = new Response("x");
        response.body?.getReader();
        return response;
      },
    ],
    [
      "a streamed body that is locked",
      () => {
        const response = new Response(new Blob(["x"]));
        response.body?.getReader();
        return response;
      },
    ],
    [
      "a body whose stream was cancelled",
      async () => {
        const response = new Response("x");
        await response.body?.cancel();
        return response;
      },
    ],
    [
      "a response that was read before",
      () => {
        const response = new Response("x");
        readResponse(response);
        return response;
      },
    ],
  ];
  for (const [name, create] of refused) {
    it(`refuses ${name}`, async () => {
      const response = await create();
      assert.throws(() => readResponse(response), isBadResponse);
    });
  }

  it("takes a response without a body again and again", () => {
    const response = new Response(null);
    assert.deepEqual(readResponse(response), readResponse(response));
  });
});
