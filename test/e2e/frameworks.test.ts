import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Context } from "edgicorn";
import h3 from "../fixtures/frameworks/h3/_app.ts";
import hono from "../fixtures/frameworks/hono/_app.ts";
import itty from "../fixtures/frameworks/itty/_app.ts";
import { type Received, send, type Sent } from "../helpers/send.ts";
import { startServer } from "../helpers/start-server.ts";

interface Case extends Sent {
  path: string;
  /** Which of the apps have this route; all, if not given. */
  only?: readonly string[];
  status: number;
  /** What comes back: all of the body, or what it looks like. */
  answer?: string | RegExp;
  /** How many of them come back. */
  cookies?: number;
}

const JSON_TYPE = { "content-type": "application/json" };

const CASES: readonly Case[] = [
  { path: "/", status: 200, answer: /^<h1>\w+<\/h1>$/ },
  { path: "/users/7", status: 200, answer: /^\{\s*"id":\s*"7",\s*"tags":\s*\[\]\s*\}$/ },
  { path: "/users/caf%C3%A9?tag=a&tag=b%20c", status: 200, answer: /"a",\s*"b c"/ },
  { path: "/users/7", method: "HEAD", status: 200, answer: "", only: ["hono"] },
  { path: "/users/7", headers: { origin: "https://example.com" }, status: 200 },
  {
    path: "/users/7",
    method: "OPTIONS",
    headers: { origin: "https://example.com", "access-control-request-method": "PUT" },
    status: 204,
    answer: "",
  },
  {
    path: "/json",
    method: "POST",
    headers: JSON_TYPE,
    body: '{ "name": "Zoë", "list": [1, 2.5, null] }',
    status: 201,
    answer:
      /^\{\s*"received":\s*\{\s*"name":\s*"Zoë",\s*"list":\s*\[\s*1,\s*2\.5,\s*null\s*\]\s*\}\s*\}$/,
  },
  {
    path: "/json",
    method: "POST",
    headers: JSON_TYPE,
    body: "{",
    status: 400,
    only: ["hono", "h3"],
  },
  { path: "/json", method: "POST", headers: JSON_TYPE, body: "{", status: 500, only: ["itty"] },
  {
    path: "/form",
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: "name=Ada+L&note=%26",
    status: 200,
    answer: /"name":\s*"Ada L",\s*"note":\s*"&"/,
  },
  {
    path: "/form",
    method: "POST",
    headers: { "content-type": "multipart/form-data; boundary=x" },
    body: '--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nAda\r\n--x--\r\n',
    status: 200,
    answer: /"name":\s*"Ada"/,
  },
  {
    path: "/text",
    method: "POST",
    headers: { "content-type": "text/plain" },
    body: "straße",
    status: 200,
    answer: "STRASSE",
  },
  {
    path: "/bytes",
    method: "PUT",
    body: Uint8Array.from({ length: 300_000 }, (_, index) => index % 251),
    status: 200,
  },
  { path: "/redirect", status: 302 },
  {
    path: "/cookies",
    headers: { cookie: "old=1; kept=%C3%A9" },
    status: 200,
    answer: /old/,
    cookies: 3,
  },
  { path: "/stream", status: 200, answer: "one\ntwo\nthree\n" },
  { path: "/empty", status: 204, answer: "" },
  { path: "/etag", status: 200, answer: "the same for all", only: ["hono"] },
  { path: "/refused", status: 403, answer: /not for you/ },
  { path: "/broken", status: 500 },
  { path: "/after", status: 200, answer: "answered" },
  { path: "/response", status: 203, answer: "a Response of its own", only: ["h3"] },
  { path: "/nowhere", status: 404 },
  { path: "/users/7/more", status: 404 },
];

const CONTEXT = { waitUntil: () => {}, passThroughOnException: () => {}, props: {} };

/** The apps, asked without a server. */
const APPS: Readonly<Record<string, (request: Request) => Response | Promise<Response>>> = {
  hono: (request) => hono.fetch(request, {}, CONTEXT),
  // What is missing of a context it does not ask for.
  itty: (request) => itty.fetch(request, {}, CONTEXT as unknown as Context),
  h3: (request) => h3.fetch(request),
};

describe("an app of a framework behind a catch-all", { timeout: 600_000 }, () => {
  for (const [name, ask] of Object.entries(APPS)) {
    it(`${name} answers as it does without a server`, async (t) => {
      const handlers = join(import.meta.dirname, "../fixtures/frameworks", name);
      // The answers of the application itself are compared.
      const flags = ["--compression", "off"];
      const server = await startServer(t, { workers: 2, handlers, https: true, flags });
      for (const { only, ...example } of CASES) {
        if (only !== undefined && !only.includes(name)) continue;
        for (const origin of [server.http, server.https]) {
          const { path, status, answer, cookies = 0, ...sent } = example;
          const label = `${sent.method ?? "GET"} ${origin}${path} of ${name}`;
          const actual = await send(origin + path, sent);
          assert.deepEqual(comparable(actual), await askDirectly(ask, origin + path, sent), label);
          assert.equal(actual.status, status, label);
          if (typeof answer === "string") assert.equal(actual.text, answer, label);
          else if (answer !== undefined) assert.match(actual.text, answer, label);
          const got = actual.fields.filter(([field]) => field === "set-cookie");
          assert.equal(got.length, cookies, label);
        }
      }
      assert.equal(server.workers.size, 2, "no worker was lost");
    });
  }
});

/** What the app answers in this process, with Node's own `Request` and `Response`. */
async function askDirectly(
  ask: (request: Request) => Response | Promise<Response>,
  url: string,
  { method = "GET", headers = {}, body }: Sent,
): Promise<Comparable> {
  const response = await ask(new Request(url, { method, headers, body: body ?? null }));
  // First: of h3 the fields change once the body was looked at.
  const fields = sortFields([...response.headers]);
  const text =
    method === "HEAD" ? "" : Buffer.from(await response.arrayBuffer()).toString("latin1");
  return { status: response.status, fields, text };
}

interface Comparable {
  status: number;
  fields: [string, string][];
  /** One character per byte. */
  text: string;
}

function comparable({ status, fields, body }: Received): Comparable {
  return { status, fields: sortFields(fields), text: body.toString("latin1") };
}

/** Without the fields that are the server's; by name, the order among equals kept. */
function sortFields(fields: readonly [string, string][]): [string, string][] {
  const kept = fields.filter(([name]) => !SERVER_FIELDS.has(name));
  return kept.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

const SERVER_FIELDS = new Set([
  "connection",
  "content-length",
  "date",
  "keep-alive",
  "transfer-encoding",
]);
