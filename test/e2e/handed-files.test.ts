import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { findPython } from "../helpers/python.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";
import { SuiteOwner } from "../helpers/suite-owner.ts";

const PYTHON = findPython();
const skip = PYTHON === null ? "Python is not installed" : false;

/** Size of the large file: reading it in a worker would show. */
const LARGE = 32 * 1024 * 1024;

const JS = {
  "file.js": `import { sendFile } from "edgicorn";
export default (request) => {
  const { searchParams } = new URL(request.url);
  const status = Number(searchParams.get("status") ?? "200");
  const headers = { "cache-control": "private", "x-a": "1" };
  return sendFile(searchParams.get("path"), { root: "files", status, headers });
};`,
  "wrapped/_middleware.js": `export default async (request, context, next) => {
  const response = await next();
  return new Response(response.body, { headers: { "content-type": "text/x-own" } });
};`,
  "wrapped/file.js": `import { sendFile } from "edgicorn";
export default () => sendFile("files/a.txt");`,
  "large.js": `import { sendFile } from "edgicorn";
export default () => sendFile("files/large.bin");`,
  "read.js": `import { readFileSync } from "node:fs";
export default () => new Response(readFileSync("/proc/self/io", "utf8"));`,
};

const GUARDED = {
  "guarded/_middleware.js": `export const config = { files: true };
export default async (request, context, next) => {
  const { searchParams } = new URL(request.url);
  if (request.headers.get("authorization") !== "let me in") return new Response("no", { status: 401 });
  const response = await next();
  const seen = [response.status, response.headers.get("content-length"), response.headers.has("etag")];
  response.headers.set("x-seen", seen.join());
  response.headers.delete("x-content-type-options");
  if (searchParams.has("type")) response.headers.set("content-type", "text/x-own");
  if (searchParams.has("status")) return new Response(response.body, { status: 403, headers: response.headers });
  if (searchParams.has("read")) await response.text();
  return response;
};`,
  "guarded/handler.js": `export default () => new Response("handler");`,
  "guarded/[user]/_middleware.js": `export const config = { files: true };
export default async (request, context, next) => {
  const response = await next();
  response.headers.set("x-user", context.params.user);
  return response;
};`,
};

const WSGI = `
import gzip, io, os, tempfile

def read(environ):
    return [open("/proc/self/io", "rb").read()], None

def large(environ):
    return environ["wsgi.file_wrapper"](open("files/large.bin", "rb")), None

def removed(environ):
    file = tempfile.TemporaryFile()
    file.write(b"0123456789" * 30000)
    file.seek(5)
    return environ["wsgi.file_wrapper"](file), None

def part(environ):
    file = open("files/digits.txt", "rb")
    file.read(3)
    return environ["wsgi.file_wrapper"](file), 100000

def unpacked(environ):
    with gzip.open("digits.gz", "wb") as file:
        file.write(os.urandom(70000) + b"0" * 70000)
    return environ["wsgi.file_wrapper"](gzip.open("digits.gz", "rb")), None

def short(environ):
    return environ["wsgi.file_wrapper"](open("files/digits.txt", "rb")), 300001

def app(environ, start_response):
    body, length = globals()[environ["PATH_INFO"].strip("/")](environ)
    headers = [("Content-Type", "text/plain")]
    if length is not None:
        headers.append(("Content-Length", str(length)))
    start_response("200 OK", headers)
    return body
`;

const ASGI = `
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    path = scope["query_string"].decode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["method"] == "POST":
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    await send({"type": "http.response.pathsend", "path": path})
`;

const DIGITS = "0123456789".repeat(30_000);

describe("files that a handler hands over", { timeout: 180_000 }, () => {
  const owner = new SuiteOwner();
  let server: TestServer;

  before(async () => {
    server = await startServer(owner, {
      handlers: {
        ...JS,
        ...GUARDED,
        ...(PYTHON === null ? {} : { "wsgi/[...path].py": WSGI, "asgi.py": ASGI }),
      },
      files: {
        "files/a.txt": "0123456789",
        "files/digits.txt": DIGITS,
        "files/large.bin": Buffer.alloc(LARGE, "x"),
        "files/empty.txt": "",
        "files/folder/b.txt": "b",
        "secret.txt": "secret",
      },
      public: {
        "a.txt": "open",
        "wrapped/a.txt": "a",
        "guarded/index.html": "<p>index</p>",
        "guarded/large.bin": Buffer.alloc(LARGE, "x"),
        "guarded/ada/a.txt": "0123456789",
        "guarded/names/b.txt": "b",
        "404.html": "not found page",
      },
      workers: 1,
      flags: ["--listing", "on", ...(PYTHON === null ? [] : ["--python", PYTHON])],
    });
  });
  after(() => owner.end());

  const rows: [title: string, query: string, init: RequestInit, status: number, body: string][] = [
    ["a file", "path=a.txt", {}, 200, "0123456789"],
    ["an empty file", "path=empty.txt", {}, 200, ""],
    ["HEAD", "path=a.txt", { method: "HEAD" }, 200, ""],
    ["POST", "path=a.txt", { method: "POST", headers: { range: "bytes=1-2" } }, 200, "0123456789"],
    ["a range", "path=a.txt", { headers: { range: "bytes=2-4" } }, 206, "234"],
    ["a range past the end", "path=a.txt", { headers: { range: "bytes=20-" } }, 416, ""],
    ["a status of its own", "path=a.txt&status=404", {}, 404, "0123456789"],
    ["a file that is not there", "path=b.txt", {}, 404, "Not Found\n"],
    ["a folder", "path=folder", {}, 404, "Not Found\n"],
    ["a file outside of the root", "path=../secret.txt", {}, 404, "Not Found\n"],
    ["a failed condition", "path=a.txt", { headers: { "if-match": '"x"' } }, 412, ""],
  ];
  for (const [title, query, init, status, body] of rows) {
    it(`answers ${title}`, async () => {
      const response = await server.fetch(`/file?${query}`, init);
      assert.deepEqual([response.status, await response.text()], [status, body]);
    });
  }

  it("has the fields of a file and those of the handler", async () => {
    const { headers } = await server.fetch("/file?path=a.txt", { method: "HEAD" });
    const etag = headers.get("etag") ?? "";
    assert.match(etag, /^"[0-9a-f-]+"$/);
    assert.ok(headers.has("last-modified"));
    assert.deepEqual(
      ["content-type", "content-length", "accept-ranges", "cache-control", "x-a"].map((name) =>
        headers.get(name),
      ),
      ["text/plain; charset=utf-8", "10", "bytes", "private", "1"],
    );
    const known = await server.fetch("/file?path=a.txt", { headers: { "if-none-match": etag } });
    assert.deepEqual(
      [known.status, known.headers.get("cache-control"), known.headers.get("content-type")],
      [304, "private", null],
    );
  });

  it("is kept by no cache without a question", async () => {
    const { headers } = await server.fetch("/large", { method: "HEAD" });
    assert.equal(headers.get("cache-control"), "no-cache");
  });

  it("may be changed by middleware", async () => {
    const response = await server.fetch("/wrapped/file", { headers: { range: "bytes=0-1,4-5" } });
    assert.equal(response.status, 206);
    assert.match(response.headers.get("content-type") ?? "", /^multipart\/byteranges; boundary=/);
    assert.match(
      await response.text(),
      /Content-Type: text\/x-own\r\nContent-Range: bytes 4-5\/10/,
    );
  });

  const ALLOWED = { authorization: "let me in" };
  const guarded: [path: string, init: RequestInit, status: number, body: string, seen: unknown][] =
    [
      ["/a.txt", {}, 200, "open", null],
      ["/guarded/", { headers: ALLOWED }, 200, "<p>index</p>", "200,12,true"],
      ["/guarded", { headers: ALLOWED, redirect: "manual" }, 301, "", "301,0,false"],
      ["/guarded/ada/a.txt", { headers: ALLOWED }, 200, "0123456789", "200,10,true"],
      [
        "/guarded/ada/a.txt",
        { headers: { ...ALLOWED, range: "bytes=2-4" } },
        206,
        "234",
        "206,3,true",
      ],
      ["/guarded/ada/a.txt", { headers: ALLOWED, method: "HEAD" }, 200, "", "200,10,true"],
      ["/guarded/ada/a.txt?status", { headers: ALLOWED }, 403, "0123456789", "200,10,true"],
      ["/guarded/handler", { headers: ALLOWED }, 200, "handler", "200,,false"],
      ["/guarded/none.txt", { headers: ALLOWED }, 404, "Not Found\n", null],
      // No spelling passes by.
      ["/guarded/ada/a.txt", {}, 401, "no", null],
      ["/guarded/ada/a.txt", { headers: { "if-none-match": "*" } }, 401, "no", null],
      ["/guarded", { redirect: "manual" }, 401, "no", null],
      ["/%67uarded/ada/a.txt", {}, 401, "no", null],
      ["/x/..%2Fguarded/ada/a.txt", {}, 404, "Not Found\n", null],
      ["//guarded//ada//a.txt", {}, 401, "no", null],
      ["/guarded/%2e/ada/a.txt", {}, 401, "no", null],
      [
        "/guarded/none",
        { headers: { ...ALLOWED, accept: "text/html" } },
        404,
        "not found page",
        "404,14,false",
      ],
      ["/guarded/none", { headers: { accept: "text/html" } }, 401, "no", null],
      ["/none", { headers: { accept: "text/html" } }, 404, "not found page", null],
      // Neither names of files nor their methods are told.
      ["/guarded/names/", {}, 401, "no", null],
      ["/guarded/names/", { headers: ALLOWED }, 404, "not found page", "404,14,false"],
      ["/guarded/ada/a.txt", { method: "POST", headers: ALLOWED }, 404, "Not Found\n", null],
    ];
  for (const [path, init, status, body, seen] of guarded) {
    const title = `${init.method ?? "GET"} ${path} ${JSON.stringify(init.headers ?? {})}`;
    it(`guards files: ${title} is ${status}`, async () => {
      const response = await server.fetch(path, init);
      assert.deepEqual([response.status, await response.text()], [status, body]);
      assert.equal(response.headers.get("x-seen"), seen);
    });
  }

  it("keeps the boundary of several ranges, whose type middleware changes", async () => {
    const path = "/guarded/ada/a.txt?type";
    const whole = await server.fetch(path, { headers: ALLOWED });
    assert.equal(whole.headers.get("content-type"), "text/x-own");
    await whole.arrayBuffer();
    const parts = await server.fetch(path, { headers: { ...ALLOWED, range: "bytes=0-1,4-5" } });
    const boundary = /boundary=(.+)/.exec(parts.headers.get("content-type") ?? "")?.[1] ?? "none";
    assert.ok((await parts.text()).includes(`--${boundary}--`));
    assert.equal(parts.headers.get("x-user"), "ada");
  });

  it("takes a request with a body for a guarded file", async () => {
    const connection = await server.connect();
    const head = "Host: localhost\r\nAuthorization: let me in\r\nContent-Length: 5";
    connection.send(`GET /guarded/ada/a.txt HTTP/1.1\r\n${head}\r\n\r\nhello`);
    assert.equal((await connection.response()).status, 200);
    connection.destroy();
  });

  it("says that middleware cannot read a file", async () => {
    const response = await server.fetch("/guarded/ada/a.txt?read", { headers: ALLOWED });
    assert.equal(response.status, 500);
    await server.until((line) =>
      JSON.stringify(line).includes("Cannot read the body of a file in a middleware"),
    );
  });

  it("changes the fields of a guarded file, and keeps its conditions", async () => {
    const path = "/guarded/ada/a.txt";
    const { headers } = await server.fetch(path, { headers: ALLOWED });
    assert.deepEqual(
      ["x-user", "x-content-type-options", "accept-ranges", "content-type"].map((name) =>
        headers.get(name),
      ),
      ["ada", null, "bytes", "text/plain; charset=utf-8"],
    );
    const etag = headers.get("etag") ?? "";
    const known = await server.fetch(path, { headers: { ...ALLOWED, "if-none-match": etag } });
    assert.deepEqual([known.status, known.headers.get("x-seen")], [304, "304,,true"]);
    // Without the key, middleware runs for handlers only.
    const other = await server.fetch("/wrapped/a.txt");
    assert.equal(other.headers.get("content-type"), "text/plain; charset=utf-8");
  });

  /** Bytes that a worker has read from anywhere but its channel. */
  async function readBytes(path: string): Promise<number> {
    const text = await (await server.fetch(path)).text();
    return Number(/rchar: (\d+)/.exec(text)?.[1]);
  }

  async function assertNotRead(file: string, io: string): Promise<void> {
    const startedAt = await readBytes(io);
    const body = await (await server.fetch(file)).arrayBuffer();
    assert.equal(body.byteLength, LARGE);
    const read = (await readBytes(io)) - startedAt;
    assert.ok(read < LARGE / 8, `the worker read ${read} bytes`);
  }

  it("passes no byte through a worker of JavaScript", () => assertNotRead("/large", "/read"));

  it("passes no byte of a guarded file through a worker", async () => {
    const startedAt = await readBytes("/read");
    const response = await server.fetch("/guarded/large.bin", { headers: ALLOWED });
    assert.equal((await response.arrayBuffer()).byteLength, LARGE);
    const read = (await readBytes("/read")) - startedAt;
    assert.ok(read < LARGE / 8, `the worker read ${read} bytes`);
  });

  it("passes no byte through a worker of Python", { skip }, () =>
    assertNotRead("/wsgi/large", "/wsgi/read"),
  );

  it("sends a file that was removed, and a part of one", { skip }, async () => {
    assert.equal(await (await server.fetch("/wsgi/removed")).text(), DIGITS.slice(5));
    assert.equal(await (await server.fetch("/wsgi/part")).text(), DIGITS.slice(3, 100_003));
    const head = await server.fetch("/wsgi/part", { method: "HEAD" });
    assert.equal(head.headers.get("content-length"), "100000");
  });

  it("sends what an object reads, not what its descriptor has", { skip }, async () => {
    const body = Buffer.from(await (await server.fetch("/wsgi/unpacked")).arrayBuffer());
    assert.equal(body.length, 140_000);
    assert.equal(body.subarray(70_000).toString(), "0".repeat(70_000));
  });

  it("breaks off a file that is shorter than its content-length", { skip }, async () => {
    await assert.rejects(async () => (await server.fetch("/wsgi/short")).text());
    await server.until(({ msg }) => msg?.includes("its body has 300000 bytes") === true);
  });

  it("takes http.response.pathsend of ASGI", { skip }, async () => {
    for (const name of ["digits.txt", "a.txt", "empty.txt"]) {
      const response = await server.fetch(`/asgi?files/${name}`);
      const expected = { "digits.txt": DIGITS, "a.txt": "0123456789", "empty.txt": "" }[name];
      assert.equal(await response.text(), expected);
    }
    assert.equal((await server.fetch("/asgi?files/none")).status, 500);
    const failed = server.fetch("/asgi?files/a.txt", { method: "POST" });
    await server.until(({ msg }) => msg?.includes("pathsend after a part of the body") === true);
    await failed.then((response) => response.text()).catch(() => {});
  });
});
