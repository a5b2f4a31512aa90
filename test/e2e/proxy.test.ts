import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { writeFileSync } from "node:fs";
import {
  createServer,
  type IncomingMessage,
  request as startRequest,
  type ServerResponse,
} from "node:http";
import { request as startTlsRequest } from "node:https";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { findPython, skipWithoutPython } from "../helpers/python.ts";
import { cleanEnvironment, startServer, type TestServer } from "../helpers/start-server.ts";
import { SuiteOwner } from "../helpers/suite-owner.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { startRawUpstream, startUpstream, type TestUpstream } from "../helpers/upstreams.ts";

const TIMEOUT = { timeout: 300_000 };

/** The request as an upstream saw it. */
interface Seen {
  method: string;
  url: string;
  headers: Record<string, string | undefined>;
  bytes: number;
  hash: string;
}

const LARGE = randomBytes(8 * 1024 * 1024);
const SHA = createHash("sha256").update(LARGE).digest("hex");

const owner = new SuiteOwner();
let server: TestServer;
/** Called when an upstream has a request, and when it sees the client leave, by the path of the request. */
const arrived = new Map<string, () => void>();
const left = new Map<string, () => void>();

before(async () => {
  const app = await startUpstream(owner, (request, response) => {
    const { url = "/" } = request;
    if (url === "/large") {
      response.setHeader("content-length", LARGE.length).end(LARGE);
    } else if (url === "/cookies") {
      const values = Array.from({ length: 8 }, (_, at) => `c${at}=${"v".repeat(4100)}`);
      response.setHeader("set-cookie", values).end("cookies");
    } else if (url === "/login") {
      response.writeHead(302, { location: "/welcome", server: "Secret/1.0" }).end();
    } else if (url === "/absolute") {
      response.writeHead(302, { location: `${app.url}/x` }).end();
    } else if (url === "/events") {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write("data: 1\n\n");
      response.on("close", () => left.get("/events")?.());
    } else if (url === "/waits") {
      response.on("close", () => left.get("/waits")?.());
      arrived.get("/waits")?.();
    } else if (url === "/early") {
      response.writeHead(413, { connection: "close" }).end("early");
    } else if (url === "/missing") {
      response.writeHead(404).end("upstream's own page");
    } else if (url === "/file") {
      response.writeHead(200, { "x-accel-redirect": "/secret" }).end();
    } else void echo(request).then((seen) => response.end(JSON.stringify(seen)));
  });
  const broken = await startRawUpstream(owner, (socket) => {
    socket.once("data", (head) => {
      const [, path = ""] = String(head).split(" ");
      const start = "HTTP/1.1 200 OK\r\n";
      if (path === "/length")
        socket.end(`${start}content-length: 100000\r\n\r\n${"x".repeat(20_000)}`);
      else if (path === "/chunked") {
        socket.end(`${start}transfer-encoding: chunked\r\n\r\n4e20\r\n${"x".repeat(20_000)}\r\n`);
      } else if (path === "/short") socket.end(`${start}content-length: 10\r\n\r\nabc`);
      else if (path === "/two") {
        socket.end(`${start}content-length: 3\r\ncontent-length: 4\r\n\r\nabcd`);
      } else if (path === "/head") socket.end("HTTP/1.1 200 OK\r\nx-a: b");
      else socket.destroy();
    });
  });
  const vast = await startRawUpstream(owner, (socket) => {
    socket.once("data", () => {
      socket.end(`HTTP/1.1 200 OK\r\nset-cookie: a=${"b".repeat(200_000)}\r\n\r\n`);
    });
  });
  server = await startServer(owner, {
    handlers: { "route.ts": `export default () => new Response("handler")` },
    public: { "page.html": "<p>file</p>", "app/page.html": "<p>hidden</p>" },
    publicFromFile: true,
    files: { "edgicorn.config.json": JSON.stringify(toConfig({ app, broken, vast })) },
    flags: ["--body-limit", "16mb", "--access-log-fields", "common"],
  });
});

after(() => owner.end());

function toConfig({ app, broken, vast }: Record<"app" | "broken" | "vast", TestUpstream>): object {
  return {
    public: "public",
    proxy: "app",
    upstreams: { app: { servers: [app.url], idleTimeout: "10m", firstByteTimeout: "10m" } },
    rules: [
      {
        path: "/app/**",
        proxy: { to: "app", stripPrefix: "/app", setRequestFields: { "x-by": "rule" } },
      },
      { path: "/broken/**", proxy: { to: broken.url, stripPrefix: "/broken" } },
      { path: "/vast", proxy: vast.url },
      { path: "/private/**", respond: { status: 403 } },
    ],
  };
}

async function echo(request: IncomingMessage): Promise<Seen> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  const { method = "", url = "", headers } = request;
  return { method, url, headers: headers as Seen["headers"], bytes, hash: hash.digest("hex") };
}

/** Sends a request and returns what the upstream saw. */
async function see(path: string, init?: RequestInit): Promise<Seen> {
  const response = await server.fetch(path, init);
  assert.equal(response.status, 200);
  return (await response.json()) as Seen;
}

describe("a proxy", TIMEOUT, () => {
  it("sends requests to its upstream, with verified facts about the client only", async () => {
    const seen = await see("/a%2Fb//c?q=1", {
      headers: {
        "x-forwarded-for": "6.6.6.6",
        x_forwarded_for: "6.6.6.6",
        forwarded: "for=6.6.6.6",
        "x-real-ip": "6.6.6.6",
        "x-custom": "kept",
        "proxy-authorization": "Basic c2VjcmV0",
      },
    });
    const { host } = new URL(server.http);
    assert.equal(seen.url, "/a%2Fb//c?q=1");
    assert.equal(seen.headers["host"], host);
    assert.equal(seen.headers["x-forwarded-for"], "127.0.0.1");
    assert.equal(seen.headers["x-forwarded-proto"], "http");
    assert.equal(seen.headers["x-forwarded-host"], host);
    assert.equal(seen.headers["x-real-ip"], "127.0.0.1");
    assert.equal(seen.headers["x-custom"], "kept");
    assert.equal(seen.headers["via"], "1.1 edgicorn");
    for (const name of ["x_forwarded_for", "forwarded", "proxy-authorization"]) {
      assert.equal(seen.headers[name], undefined, name);
    }
    const line = await server.untilAccess({ path: "/a%2Fb//c" });
    assert.equal(line["requestId"], seen.headers["x-request-id"]);
    assert.equal(line["upstreamStatus"], 200);
    assert.match(String(line["upstream"]), /^http:\/\/127\.0\.0\.1:\d+$/);
  });

  it("answers what neither a file nor a handler answers; its rules come before both", async () => {
    const texts = await Promise.all(
      ["/page.html", "/route", "/private/x", "/app/page.html", "/other"].map(async (path) => {
        const response = await server.fetch(path);
        const text = await response.text();
        return text.startsWith("{") ? (JSON.parse(text) as Seen).url : text;
      }),
    );
    assert.deepEqual(texts, ["<p>file</p>", "handler", "", "/page.html", "/other"]);
    const missing = await server.fetch("/missing");
    assert.deepEqual([missing.status, await missing.text()], [404, "upstream's own page"]);
  });

  it("strips a prefix, tells the upstream, and leads redirects back behind it", async () => {
    const seen = await see("/app/users?id=1");
    assert.equal(seen.url, "/users?id=1");
    assert.equal(seen.headers["x-forwarded-prefix"], "/app");
    assert.equal(seen.headers["x-by"], "rule");
    const login = await server.fetch("/app/login", { redirect: "manual" });
    assert.equal(login.headers.get("location"), "/app/welcome");
    assert.equal(login.headers.get("server"), null);
    const absolute = await server.fetch("/absolute", { redirect: "manual" });
    assert.equal(absolute.headers.get("location"), "/x");
  });

  it("carries bodies in both directions, whatever their framing", async () => {
    for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
      const seen = await see("/echo", { method, body: "a=1" });
      assert.deepEqual([seen.method, seen.bytes, seen.headers["content-length"]], [method, 3, "3"]);
    }
    const known = await see("/echo", { method: "POST", body: LARGE });
    assert.deepEqual([known.bytes, known.hash], [LARGE.length, SHA]);
    assert.equal(known.headers["content-length"], String(LARGE.length));
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let at = 0; at < LARGE.length; at += 100_000) {
          controller.enqueue(LARGE.subarray(at, at + 100_000));
        }
        controller.close();
      },
    });
    // Types of the page's `fetch` lack the member.
    const init = { method: "POST", body: stream, duplex: "half" } as RequestInit;
    const chunked = await see("/echo", init);
    assert.deepEqual([chunked.bytes, chunked.hash], [LARGE.length, SHA]);
    const response = await server.fetch("/large");
    const body = Buffer.from(await response.arrayBuffer());
    assert.ok(body.equals(LARGE));
    const head = await server.fetch("/large", { method: "HEAD" });
    assert.equal(head.headers.get("content-length"), String(LARGE.length));
  });

  it("passes 32 KiB of Set-Cookie, each in its own line", async () => {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = startRequest(`${server.http}/cookies`, { maxHeaderSize: 64 * 1024 }, resolve);
      request.once("error", reject);
      request.end();
    });
    const chunks: Buffer[] = [];
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
    const cookies = response.headers["set-cookie"] ?? [];
    assert.equal(cookies.length, 8);
    assert.ok(cookies.join("").length > 32 * 1024);
    assert.equal(String(Buffer.concat(chunks)), "cookies");
  });

  it("answers 502 to a head that is too large, and logs the limit", async () => {
    const response = await server.fetch("/vast", { method: "POST" });
    assert.equal(response.status, 502);
    const line = await server.until(
      ({ msg, path }) => msg === "requests failed at an upstream" && path === "/vast",
    );
    assert.deepEqual(
      [line["reason"], line["phase"]],
      ["the upstream sent a head of more than 65536 bytes", "head"],
    );
  });

  it("never makes a broken response look complete", async () => {
    for (const path of ["/broken/length", "/broken/chunked"]) {
      const response = await server.fetch(path);
      assert.equal(response.status, 200);
      await assert.rejects(response.arrayBuffer(), path);
      await server.untilAccess({ path, status: 502 });
    }
  });

  it("answers 502 for a response that breaks off early or can be read in two ways, and logs why", async () => {
    const cases: [path: string, phase: string][] = [
      ["/broken/short", "body"],
      ["/broken/two", "head"],
      ["/broken/head", "head"],
      ["/broken/reset", "first-byte"],
    ];
    for (const [path] of cases) {
      const response = await server.fetch(path, { method: "POST" });
      assert.equal(response.status, 502, path);
      assert.equal(await response.text(), "Bad Gateway\n");
    }
    const line = await server.until(({ msg }) => msg === "requests failed at an upstream");
    assert.match(String(line["upstream"]), /^http:\/\/127\.0\.0\.1:/);
    assert.ok(typeof line["reason"] === "string" && line["reason"] !== "");
    assert.ok(cases.some(([, phase]) => phase === line["phase"]) || line["phase"] === "body");
  });

  it("answers 502 to a response that asks for a file, without the path", async () => {
    const response = await server.fetch("/file");
    assert.equal(response.status, 502);
    assert.equal(response.headers.get("x-accel-redirect"), null);
  });

  it("tells the upstream when the client leaves before the response", async () => {
    const has = new Promise<void>((resolve) => arrived.set("/waits", resolve));
    const ended = new Promise<void>((resolve) => left.set("/waits", resolve));
    const leaving = new AbortController();
    const response = server.fetch("/waits", { signal: leaving.signal });
    await has;
    leaving.abort();
    await assert.rejects(response);
    await ended;
    await server.untilAccess({ path: "/waits", status: 499 });
  });

  it("tells the upstream when the client leaves within the response", async () => {
    const ended = new Promise<void>((resolve) => left.set("/events", resolve));
    const leaving = new AbortController();
    const response = await server.fetch("/events", { signal: leaving.signal });
    const reader = response.body?.getReader();
    const first = await reader?.read();
    assert.ok(Buffer.from(first?.value ?? []).includes("data: 1"));
    leaving.abort();
    await ended;
    await server.untilAccess({ path: "/events", status: 499 });
  });

  it("passes on an early answer to a body that the upstream does not read", async () => {
    const connection = await server.connect();
    const total = 8 * 1024 * 1024;
    connection.send(`POST /early HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${total}\r\n\r\n`);
    connection.send(LARGE.subarray(0, 200_000));
    const { status, body } = await connection.response();
    assert.deepEqual([status, String(body)], [413, "early"]);
    connection.socket.destroy();
  });

  it("answers `Expect: 100-continue` itself, and the upstream gets the body without the field", async () => {
    const connection = await server.connect();
    connection.send(
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
    );
    connection.send("abc");
    let response = await connection.response({ head: false });
    if (response.status === 100) response = await connection.response();
    const seen = JSON.parse(String(response.body)) as Seen;
    assert.deepEqual([seen.bytes, seen.headers["expect"]], [3, undefined]);
    connection.socket.destroy();
  });

  it("keeps streams alive while the config is reloaded", async () => {
    const leaving = new AbortController();
    const response = await server.fetch("/events", { signal: leaving.signal });
    const reader = response.body?.getReader();
    await reader?.read();
    server.kill("SIGHUP");
    await server.until(({ msg }) => msg === "reloaded");
    const still = await see("/after");
    assert.equal(still.url, "/after");
    const ended = new Promise<void>((resolve) => left.set("/events", resolve));
    leaving.abort();
    await ended;
  });
});

describe("a proxy to a socket and to a server that restarts", TIMEOUT, () => {
  it("reaches a Unix socket, and sends no request into a connection that the upstream has closed", async (t) => {
    const path = join(temporaryFolder(t), "app.sock");
    const start = async () => {
      const app = createServer((request, response) => {
        void echo(request).then((seen) => response.end(JSON.stringify(seen)));
      });
      app.listen(path);
      await once(app, "listening");
      return app;
    };
    let app = await start();
    t.after(() => {
      app.closeAllConnections();
      app.close();
    });
    const front = await startServer(t, { handlers: {}, flags: ["--proxy", `unix:${path}`] });
    for (let restart = 0; restart < 3; restart++) {
      for (const method of ["GET", "POST"]) {
        const response = await front.fetch(`/${restart}`, { method });
        assert.equal(response.status, 200, `${method} after restart ${restart}`);
        assert.equal(((await response.json()) as Seen).url, `/${restart}`);
      }
      app.closeAllConnections();
      app.close();
      await once(app, "close");
      app = await start();
    }
    assert.deepEqual(front.workers.size, 0, "a proxy alone needs no worker");
  });

  it("finishes the requests at its upstreams before it stops", async (t) => {
    const requests = new EventEmitter();
    const app = await startUpstream(t, (_, response) => requests.emit("request", response));
    const front = await startServer(t, { handlers: {}, flags: ["--proxy", app.url] });
    const waiting = once(requests, "request");
    const response = front.fetch("/slow");
    const [upstream] = (await waiting) as [ServerResponse];
    front.kill("SIGTERM");
    await front.until(({ msg }) => msg?.includes("stopping") === true);
    upstream.end("done");
    assert.equal(await (await response).text(), "done");
    assert.deepEqual(await front.exit, { code: 0, signal: null });
  });
});

describe("an unchanged Django application in Gunicorn behind a proxy", TIMEOUT, () => {
  const packages = ["gunicorn", "django"];
  it(
    "sees the client's URL, and its forms, redirects and streams work",
    {
      skip: skipWithoutPython(packages),
    },
    async (t) => {
      const dir = temporaryFolder(t);
      const path = join(dir, "app.sock");
      writeFileSync(join(dir, "site_of_test.py"), DJANGO);
      const python = findPython(packages) ?? assert.fail("checked above");
      const args = [
        "-m",
        "gunicorn",
        "--bind",
        `unix:${path}`,
        "--workers",
        "1",
        "site_of_test:app",
      ];
      const gunicorn = spawn(python, args, {
        cwd: dir,
        env: { ...cleanEnvironment(), FORWARDED_ALLOW_IPS: "*" },
        stdio: ["ignore", "ignore", "pipe"],
      });
      const exited = once(gunicorn, "exit");
      t.after(async () => {
        gunicorn.kill("SIGTERM");
        await exited;
      });
      for await (const line of createInterface(gunicorn.stderr)) {
        if (line.includes("Booting worker")) break;
      }
      gunicorn.stderr.resume();
      const flags = ["--proxy", `unix:${path}`];
      const front = await startServer(t, { handlers: {}, flags, https: true });
      const url = await front.fetch("/where?q=1");
      assert.equal(await url.text(), `${front.http}/where?q=1 from 127.0.0.1`);
      // Certificates of the development server are signed by nobody.
      const { headers } = await new Promise<IncomingMessage>((resolve, reject) => {
        const options = { rejectUnauthorized: false };
        startTlsRequest(`${front.https}/login`, options, resolve).once("error", reject).end();
      });
      assert.equal(headers.location, `${front.https}/welcome`);
      const form = new FormData();
      form.set("file", new Blob([LARGE.subarray(0, 700_000)]), "a.bin");
      const upload = await front.fetch("/upload", { method: "POST", body: form });
      assert.equal(await upload.text(), "a.bin 700000");
      const stream = await front.fetch("/stream");
      assert.equal(await stream.text(), "0123456789");
    },
  );
});

const DJANGO = `
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.urls import path

settings.configure(
    ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x", MIDDLEWARE=[],
    SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
)

def where(request):
    client = request.META["HTTP_X_FORWARDED_FOR"]
    return HttpResponse(f"{request.build_absolute_uri()} from {client}")

def login(request):
    return HttpResponseRedirect(request.build_absolute_uri("/welcome"))

def upload(request):
    file = request.FILES["file"]
    return HttpResponse(f"{file.name} {file.size}")

def stream(request):
    return StreamingHttpResponse(str(number) for number in range(10))

urlpatterns = [
    path("where", where), path("login", login), path("upload", upload), path("stream", stream),
]
app = get_wsgi_application()
`;
