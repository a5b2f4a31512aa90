import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import * as zlib from "node:zlib";
import { eventually } from "../helpers/eventually.ts";
import { fieldOf, type RawResponse } from "../helpers/raw-connection.ts";
import { startServer } from "../helpers/start-server.ts";

const TEXT = "A page of text. ".repeat(500);

const HANDLERS = {
  "page.ts": `
    const text = ${JSON.stringify(TEXT)};
    export default (request) => {
      const etag = new URL(request.url).searchParams.get("etag") ?? '"v1"';
      const headers = { etag, "content-type": "text/html; charset=utf-8" };
      if (request.headers.get("if-none-match") === etag) return new Response(null, { status: 304, headers });
      return new Response(text, { headers });
    };`,
  "small.ts": `export default () => new Response("small")`,
  "large.ts": `export default () => Response.json(${JSON.stringify(TEXT)}.repeat(20))`,
  "off.ts": `
    export const config = { compression: false };
    export default () => new Response(${JSON.stringify(TEXT)});`,
  "events.ts": streamOf("text/event-stream;charset=utf-8"),
  "lines.ts": streamOf("application/x-ndjson"),
  "step.ts": `
    export default async (request) => {
      globalThis.step?.(new URL(request.url).searchParams.get("data"));
      return new Response("ok");
    };`,
};

/** A handler whose stream yields what requests for `/step` bring, until one brings nothing. */
function streamOf(type: string): string {
  return `
    export default () => {
      const stream = new ReadableStream({
        start(controller) {
          // The head leaves with the first byte.
          controller.enqueue(new TextEncoder().encode("data: 0\\n\\n"));
          globalThis.step = (data) => {
            if (data === null) controller.close();
            else controller.enqueue(new TextEncoder().encode(data));
          };
        },
      });
      return new Response(stream, { headers: { "content-type": "${type}" } });
    };`;
}

const BROWSER = "Accept-Encoding: gzip, deflate, br";

function textOf(response: RawResponse): string {
  const coding = fieldOf(response, "content-encoding");
  if (coding === "br") return String(zlib.brotliDecompressSync(response.body));
  return String(coding === "gzip" ? zlib.gunzipSync(response.body) : response.body);
}

describe("compression of answers", { timeout: 600_000 }, () => {
  it("follows the client, and the answer", async (t) => {
    const server = await startServer(t, {
      handlers: HANDLERS,
      public: { "style.css": TEXT, "photo.png": TEXT, "tiny.css": "a{}" },
      workers: 1,
    });
    const connection = await server.connect();
    const ask = async (line: string, ...fields: string[]): Promise<RawResponse> => {
      connection.send([`${line} HTTP/1.1`, "Host: localhost", ...fields, "", ""].join("\r\n"));
      return connection.response({ head: line.startsWith("HEAD ") });
    };

    await t.test("in the coding that the client accepts", async () => {
      const rows: [line: string, fields: string[], coding: string | undefined, vary: boolean][] = [
        ["GET /page", [BROWSER], "br", true],
        ["GET /page", ["Accept-Encoding: gzip"], "gzip", true],
        ["GET /page", [], undefined, true],
        ["GET /page", [BROWSER, "Sec-Fetch-Site: cross-site"], undefined, true],
        ["GET /page", [BROWSER, "Sec-Fetch-Site: same-origin"], "br", true],
        ["HEAD /page", [BROWSER], "br", true],
        ["GET /large", [BROWSER], "br", true],
        ["GET /small", [BROWSER], undefined, false],
        ["GET /off", [BROWSER], undefined, false],
      ];
      for (const [line, fields, coding, hasVary] of rows) {
        const response = await ask(line, ...fields);
        const row = `${line} ${fields.join()}`;
        assert.equal(response.status, 200, row);
        assert.equal(fieldOf(response, "content-encoding"), coding, row);
        assert.equal(fieldOf(response, "vary"), hasVary ? "accept-encoding" : undefined, row);
        if (line === "GET /page") assert.equal(textOf(response), TEXT, row);
        if (line === "GET /large") assert.equal(textOf(response), JSON.stringify(TEXT.repeat(20)));
        if (coding !== undefined) assert.ok(response.body.length < TEXT.length / 2, row);
      }
    });

    await t.test("files once, while the first client gets them as they are", async () => {
      const first = await ask("GET /style.css", BROWSER);
      assert.equal(fieldOf(first, "content-encoding"), undefined);
      assert.equal(fieldOf(first, "vary"), "accept-encoding");
      let coded = first;
      await eventually(t, async () => {
        coded = await ask("GET /style.css", BROWSER);
        return fieldOf(coded, "content-encoding") === "br";
      });
      assert.equal(textOf(coded), TEXT);
      const tag = fieldOf(coded, "etag") ?? "";
      assert.match(tag, /^"[\w-]+-br"$/);
      assert.equal(fieldOf(coded, "last-modified"), fieldOf(first, "last-modified"));
      const gzip = await ask("GET /style.css", "Accept-Encoding: gzip");
      assert.equal(textOf(gzip), TEXT);
      assert.match(fieldOf(gzip, "etag") ?? "", /-gzip"$/);
      const head = await ask("HEAD /style.css", BROWSER);
      assert.equal(fieldOf(head, "etag"), tag);
      assert.equal(fieldOf(head, "content-length"), String(coded.body.length));
      const unchanged = await ask("GET /style.css", BROWSER, `If-None-Match: ${tag}`);
      assert.equal(unchanged.status, 304);
      assert.equal(fieldOf(unchanged, "vary"), "accept-encoding");
      const part = await ask("GET /style.css", BROWSER, "Range: bytes=0-5");
      assert.deepEqual([part.status, String(part.body)], [206, "A page"]);
      assert.equal(fieldOf(part, "vary"), "accept-encoding");
      const plain = await ask("GET /style.css");
      assert.equal(String(plain.body), TEXT);
      assert.equal(fieldOf(plain, "etag"), fieldOf(first, "etag"));
      for (const path of ["/photo.png", "/tiny.css"]) {
        assert.equal(fieldOf(await ask(`GET ${path}`, BROWSER), "vary"), undefined, path);
      }
      assert.equal(readdirSync(join(server.dir, ".edgicorn/compressed")).length, 2);
    });

    await t.test("with an entity tag for each coding, which its handler knows again", async () => {
      for (const etag of ['"v1"', 'W/"v1"']) {
        const path = `/page?etag=${encodeURIComponent(etag)}`;
        const plain = fieldOf(await ask(`GET ${path}`), "etag") ?? "";
        const coded = fieldOf(await ask(`GET ${path}`, BROWSER), "etag") ?? "";
        assert.equal(plain, etag);
        assert.match(coded, /^W\/"v1-{1,2}br"$/);
        for (const tag of [plain, coded]) {
          const unchanged = await ask(`GET ${path}`, BROWSER, `If-None-Match: ${tag}`);
          assert.equal(unchanged.status, 304, tag);
          assert.equal(fieldOf(unchanged, "etag"), tag);
          assert.equal(fieldOf(unchanged, "vary"), "accept-encoding");
        }
      }
    });

    await t.test("and each piece of a stream leaves at once", async () => {
      for (const [path, coding] of [
        ["/lines", "br"],
        ["/events", null],
      ] as const) {
        const response = await fetch(server.http + path, {
          headers: { "accept-encoding": "br", connection: "close" },
        });
        assert.equal(response.headers.get("content-encoding"), coding);
        assert.ok(response.body !== null);
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        let received = "";
        for (const piece of ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"]) {
          await server.fetch(`/step?data=${encodeURIComponent(piece)}`);
          // Ends only if the piece arrives while the stream is open.
          while (!received.endsWith(piece)) received += (await reader.read()).value ?? "";
        }
        await server.fetch("/step");
        while (!(await reader.read()).done);
      }
    });
  });
});
