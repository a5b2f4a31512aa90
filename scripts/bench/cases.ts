import {
  BROWSER_FIELDS,
  JSON_1K,
  JSON_4K,
  PUBLIC_FILES,
  publicFileText,
  TAKES_GZIP,
  type Fields,
  type PublicFile,
} from "./payloads.ts";
import type { ServerId } from "./servers.ts";

/** The request that every server of a case gets, and the answer that it must give before it is loaded. */
export interface Case {
  /** Names the case on the command line and in the JSON file. */
  readonly id: string;
  readonly title: string;
  /** Whether it belongs to the default run. */
  readonly isDefault: boolean;
  /** The program of the servers: the name of a source in their folders of `peers/`. */
  readonly app: App;
  readonly request: CaseRequest;
  readonly tls: boolean;
  readonly accessLog: boolean;
  readonly load: LoadKind;
  /** The unit: rates are units per second, processor time is per unit. */
  readonly unit: Unit;
  /** Servers for this case, in the order of the printed table. */
  readonly servers: readonly ServerId[];
  /** The other servers are compared with this one, within the same round. */
  readonly baseline: ServerId;
  /** Describes a wrong answer; `undefined` when the answer is right. */
  readonly refuse: (answer: Answer) => string | undefined;
}

export interface CaseRequest {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly fields: Fields;
  /** Empty: the request has no body. */
  readonly body: string;
}

/** Names a server's program. `files` has no code: a folder is served. `upstream` runs behind the server. */
export type App =
  | "hello"
  | "post-json"
  | "json-4k"
  | "stream-64k"
  | "echo"
  | "events"
  | "ws-echo"
  | "ws-broadcast"
  | "files"
  | "upstream"
  | PythonApp;

/** Names a Python application: a module of `peers/python/` with an `application`. */
export type PythonApp = "wsgi" | "flask_app" | "django_app" | "fastapi_app";

/** Whether a program is a Python application. */
export function isPythonApp(app: App): app is PythonApp {
  return app === "wsgi" || app === "flask_app" || app === "django_app" || app === "fastapi_app";
}

/** The kind of load; `load.ts` describes each. */
export type LoadKind =
  | { readonly kind: "wrk" }
  /** `h2load`: HTTP/2 with this many streams at a time on each connection, and as many requests in flight as `wrk` has. */
  | { readonly kind: "h2load"; readonly streams: number }
  /** One client sends a body of this size and reads it back, once per turn. */
  | { readonly kind: "echo"; readonly sizeBytes: number }
  /** This many clients stay connected and read events. */
  | { readonly kind: "events"; readonly clients: number }
  /** This many clients of WebSockets; `scripts/clients/web-sockets.ts` describes the modes. */
  | {
      readonly kind: "web-sockets";
      readonly mode: "echo" | "broadcast";
      readonly clients: number;
    }
  /** `wrk` beside this many idle connections. */
  | { readonly kind: "idle"; readonly connections: number };

export type Unit = "request" | "MiB" | "event" | "message";

/** A whole answer, for the check before the load. Of events, the first one. */
export interface Answer {
  readonly status: number;
  readonly contentType: string;
  /** Decompressed. */
  readonly body: string;
}

/** Streams at a time on each connection of HTTP/2. */
const H2_STREAMS = 4;

/** All cases. A new one is an entry here, plus its sources in `peers/` and `servers.ts`. */
export const CASES: readonly Case[] = [
  {
    ...helloCase("hello", "hello world over HTTP"),
    servers: [
      "edgicorn",
      "uws",
      "deno",
      "bun",
      "workerd",
      "node-http",
      "fastify",
      "hono-node-server",
      "nginx-node",
      "nginx-gunicorn",
    ],
  },
  { ...helloCase("hello-tls", "hello world over HTTPS"), tls: true },
  {
    ...helloCase("hello-tls-node", "hello world over HTTPS, on the Node engine"),
    tls: true,
    isDefault: false,
    servers: ["edgicorn-node", "edgicorn", "nginx-node"],
    baseline: "edgicorn-node",
  },
  {
    ...helloCase("hello-h2", "hello world over HTTP/2"),
    isDefault: false,
    tls: true,
    load: { kind: "h2load", streams: H2_STREAMS },
  },
  {
    ...helloCase("hello-log", "hello world over HTTP with the access log on, written to a file"),
    accessLog: true,
  },
  {
    ...plainCase("post-json", "JSON of 1 KiB posted, parsed and sent back"),
    app: "post-json",
    request: { method: "POST", path: "/", fields: BROWSER_FIELDS, body: JSON_1K },
    servers: [
      "edgicorn",
      "uws",
      "deno",
      "bun",
      "node-http",
      "fastify",
      "hono-node-server",
      "nginx-fastify",
    ],
    refuse: (answer) => refuse(answer, { type: "application/json", body: JSON_1K }),
  },
  {
    ...plainCase("stream-64k", "64 KiB answered as a stream of 4 chunks"),
    app: "stream-64k",
    refuse: (answer) =>
      refuse(answer, { type: "application/octet-stream", body: "a".repeat(64 * 1024) }),
  },
  {
    ...plainCase("stream-1g", "1 GiB sent to a handler and back at once, by one client"),
    app: "echo",
    request: { method: "POST", path: "/", fields: [], body: "Hello, echo!" },
    load: { kind: "echo", sizeBytes: 1024 ** 3 },
    unit: "MiB",
    servers: ["edgicorn", "node-http", "nginx-node"],
    refuse: (answer) => refuse(answer, { type: "application/octet-stream", body: "Hello, echo!" }),
  },
  staticCase("static-1k", PUBLIC_FILES["1k"]),
  {
    ...staticCase("static-1k-h2", PUBLIC_FILES["1k"]),
    title: "a static file of 1 KiB over HTTP/2",
    tls: true,
    load: { kind: "h2load", streams: H2_STREAMS },
  },
  staticCase("static-100k", PUBLIC_FILES["100k"]),
  staticCase("static-10m", PUBLIC_FILES["10m"]),
  {
    ...plainCase("sse", "500 clients, an event for each every 100 ms"),
    app: "events",
    load: { kind: "events", clients: 500 },
    unit: "event",
    refuse: refuseEvent,
  },
  webSocketCase("ws-echo", {
    title: "64 WebSockets, each of which gets its messages back",
    load: { kind: "web-sockets", mode: "echo", clients: 64 },
  }),
  webSocketCase("ws-broadcast", {
    title: "500 WebSockets that get each message of one of them",
    load: { kind: "web-sockets", mode: "broadcast", clients: 500 },
  }),
  pythonCase("wsgi", { app: "wsgi", title: "a plain WSGI function" }),
  pythonCase("flask", { app: "flask_app", title: "a view of Flask" }),
  pythonCase("django", { app: "django_app", title: "a view of Django" }),
  {
    ...pythonCase("fastapi", { app: "fastapi_app", title: "a view of FastAPI" }),
    servers: ["edgicorn-python", "nginx-uvicorn"],
  },
  proxyCase("proxy", { title: "1 KiB from an upstream", size: 1024 }),
  {
    ...proxyCase("proxy-post", { title: "JSON of 1 KiB posted to an upstream", size: 1024 }),
    request: { method: "POST", path: "/", fields: BROWSER_FIELDS, body: JSON_1K },
  },
  {
    ...proxyCase("proxy-stream", { title: "1 MiB from an upstream", size: 1024 ** 2 }),
    request: { method: "GET", path: "/large", fields: [], body: "" },
  },
  {
    ...helloCase(
      "door",
      "hello world, asked for as a browser does, with more of the settings in use",
    ),
    isDefault: false,
    request: { method: "GET", path: "/", fields: BROWSER_FIELDS, body: "" },
    servers: [
      "edgicorn",
      "edgicorn-ten-rules",
      "edgicorn-one-rule",
      "edgicorn-fields",
      "edgicorn-rate-limit",
      "edgicorn-log-json",
      "edgicorn-log-combined",
      "edgicorn-log-own",
    ],
  },
  {
    ...staticCase("cache-hit", PUBLIC_FILES["1k"]),
    title: "1 KiB from the response cache, beside a static file of the same content",
    servers: ["edgicorn", "edgicorn-cached"],
    baseline: "edgicorn",
  },
  {
    ...plainCase("json-gzip", "4 KiB of JSON from a handler, for a client that takes gzip"),
    app: "json-4k",
    request: { method: "GET", path: "/", fields: TAKES_GZIP, body: "" },
    servers: ["edgicorn", "edgicorn-compressed"],
    baseline: "edgicorn",
    refuse: (answer) => refuse(answer, { type: "application/json", body: JSON_4K }),
  },
  {
    ...staticCase("static-gzip", PUBLIC_FILES["100k"]),
    title: "a static file of 100 KiB, for a client that takes gzip",
    request: {
      method: "GET",
      path: `/${PUBLIC_FILES["100k"].name}`,
      fields: TAKES_GZIP,
      body: "",
    },
    servers: ["edgicorn", "edgicorn-compressed"],
    baseline: "edgicorn",
  },
  {
    ...helloCase("idle", "hello world over HTTP beside 5,000 idle connections"),
    isDefault: false,
    load: { kind: "idle", connections: 5000 },
  },
];

/** A `GET` over HTTP, outside of the default run, with Nginx in front of Node as well. */
function plainCase(id: string, title: string): Omit<Case, "app" | "refuse"> {
  return {
    id,
    title,
    isDefault: false,
    request: { method: "GET", path: "/", fields: [], body: "" },
    tls: false,
    accessLog: false,
    load: { kind: "wrk" },
    unit: "request",
    servers: ["edgicorn", "nginx-node"],
    baseline: "edgicorn",
  };
}

function helloCase(id: string, title: string): Case {
  return {
    ...plainCase(id, title),
    isDefault: true,
    app: "hello",
    refuse: (answer) => refuse(answer, { type: "text/plain;charset=utf-8", body: "Hello, world!" }),
  };
}

function webSocketCase(
  id: "ws-echo" | "ws-broadcast",
  { title, load }: { title: string; load: LoadKind },
): Case {
  return {
    ...plainCase(id, title),
    app: id,
    load,
    unit: "message",
    servers: ["edgicorn", "uws", "ws", "bun", "deno"],
    // A plain request tells that the server is ready.
    refuse: (answer) =>
      refuse(answer, { type: "text/plain;charset=utf-8", body: "Hello, WebSocket!" }),
  };
}

function pythonCase(id: string, { app, title }: { app: PythonApp; title: string }): Case {
  return {
    ...helloCase(id, `hello world from ${title}, 2 workers each`),
    isDefault: false,
    app,
    servers: ["edgicorn-python", "nginx-gunicorn", "nginx-gunicorn-gthread", "nginx-uwsgi"],
    baseline: "edgicorn-python",
  };
}

function proxyCase(id: string, { title, size }: { title: string; size: number }): Case {
  return {
    ...plainCase(id, title),
    app: "upstream",
    servers: ["edgicorn-proxy", "nginx-proxy", "caddy-proxy"],
    baseline: "edgicorn-proxy",
    refuse: (answer) =>
      refuse(answer, { type: "text/plain;charset=utf-8", body: "a".repeat(size) }),
  };
}

function staticCase(id: string, file: PublicFile): Case {
  return {
    ...plainCase(id, `a static file of ${file.sizeBytes / 1024} KiB`),
    app: "files",
    request: { method: "GET", path: `/${file.name}`, fields: [], body: "" },
    servers: ["edgicorn", "nginx"],
    refuse: (answer) => refuse(answer, { type: "text/plain", body: publicFileText(file) }),
  };
}

function refuse(
  { status, contentType, body }: Answer,
  expected: { readonly type: string; readonly body: string },
): string | undefined {
  if (status !== 200) return `status ${status}, expected 200`;
  // Servers differ in the space before `charset` and in the case of its value; both mean the same.
  const type = contentType.toLowerCase().replaceAll(" ", "");
  // A missing charset is accepted: it does not influence the measurement.
  if (type !== expected.type && type.split(";")[0] !== expected.type)
    return `content-type "${contentType}", expected ${expected.type}`;
  if (body !== expected.body)
    return `body "${body.slice(0, 80)}" of ${body.length} characters, expected "${expected.body.slice(0, 80)}" of ${expected.body.length}`;
  return undefined;
}

function refuseEvent({ status, contentType, body }: Answer): string | undefined {
  if (status !== 200) return `status ${status}, expected 200`;
  if (!contentType.startsWith("text/event-stream"))
    return `content-type "${contentType}", expected text/event-stream`;
  if (!/^data: \d+$/m.test(body)) return `body "${body.slice(0, 80)}", expected an event`;
  return undefined;
}
