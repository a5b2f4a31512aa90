/**
 * Measures the cost of `Request` and `Response` per exchange: Node's own against the fast ones, in nanoseconds.
 *
 *     node --import tsx scripts/bench/web-objects.ts
 *
 * Each case does the work of a worker: make the request or response, and read the parts that an answer needs. Node's
 * own classes run first, before the globals are replaced. Rounds are short, with a turn of the event loop between them,
 * because Node's bodies finish their work there. The median round counts.
 */
import { formatFields, parseFields } from "../../runtime/web/fields.ts";
import { createRequest, type RequestParts } from "../../runtime/web/fast-request.ts";
import { readResponse } from "../../runtime/web/fast-response.ts";
import { installWebObjects } from "../../runtime/web/install.ts";

interface Case {
  name: string;
  native: () => unknown;
  fast: () => unknown;
}

const ROUNDS = 60;
const CALLS_PER_ROUND = 2_000;

const BROWSER_FIELDS = [
  ["host", "localhost:8080"],
  ["user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36"],
  ["accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"],
  ["accept-language", "en-US,en;q=0.9"],
  ["accept-encoding", "gzip, deflate, br"],
  ["cookie", "session=0123456789abcdef; theme=dark"],
  ["content-type", "application/json"],
  ["connection", "keep-alive"],
];
const FIELDS = BROWSER_FIELDS.flat().join("\n");
const JSON_BYTES = new TextEncoder().encode(
  JSON.stringify({
    items: Array.from({ length: 12 }, (_, id) => ({ id, title: "An item", price: 9.5 })),
  }),
);
const GET: RequestParts = {
  method: "GET",
  url: "http://localhost:8080/api/users/7?x=1",
  fields: FIELDS,
  body: null,
};
const POST: RequestParts = { ...GET, method: "POST", body: JSON_BYTES };
const DATA = { id: 7, name: "Ada", roles: ["admin", "editor"] };

function nativeRequest({ method, url, fields, body }: RequestParts): Request {
  return new Request(url, { method, headers: parseFields(fields), body, duplex: "half" });
}

async function readNative(response: Response): Promise<unknown> {
  const fields = formatFields(response.headers);
  return [response.status, fields, response.body === null ? null : await response.arrayBuffer()];
}

const hello = (): Response => new Response("hi");
const json = (): Response => Response.json(DATA);
const oneField = (): Response =>
  new Response("<p>hi", { headers: { "content-type": "text/html; charset=utf-8" } });
const threeFields = (): Response =>
  new Response("<p>hi", {
    status: 201,
    headers: {
      "Content-Type": "text/html; charset=utf-8",
      "Cache-Control": "no-store",
      "X-Request-Id": "4bf92f3577b34da6",
    },
  });
const changed = (): Response => {
  const first = new Response("hi");
  const second = new Response(first.body, first);
  second.headers.set("x-powered-by", "middleware");
  return second;
};

function responseCase(name: string, create: () => Response): Case {
  return { name, native: () => readNative(create()), fast: () => readResponse(create()) };
}

function requestCase(name: string, parts: RequestParts, use: (request: Request) => unknown): Case {
  return { name, native: () => use(nativeRequest(parts)), fast: () => use(createRequest(parts)) };
}

const CASES: Case[] = [
  responseCase('new Response("hi")', hello),
  responseCase("Response.json(data)", json),
  responseCase("response with 1 header", oneField),
  responseCase("response with 3 headers", threeFields),
  responseCase("new Response(res.body, res) + set", changed),
  requestCase("request, url", GET, (request) => request.url),
  requestCase("request, url + 1 of 8 headers", GET, (request) => [
    request.url,
    request.headers.get("accept"),
  ]),
  requestCase("request, signal", GET, (request) => request.signal),
  requestCase("POST, await json()", POST, (request) => request.json()),
  requestCase("clone().text()", POST, (request) => request.clone().text()),
];

async function measureNs(run: () => unknown): Promise<number> {
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.hrtime.bigint();
    for (let call = 0; call < CALLS_PER_ROUND; call++) {
      const result = run();
      if (result instanceof Promise) await result;
    }
    rounds.push(Number(process.hrtime.bigint() - start) / CALLS_PER_ROUND);
    await new Promise((resolve) => setImmediate(resolve));
  }
  rounds.sort((a, b) => a - b);
  return rounds[ROUNDS / 2] ?? Number.NaN;
}

const nativeNs: number[] = [];
for (const { native } of CASES) nativeNs.push(await measureNs(native));
installWebObjects();
const rows: Record<string, { "Node ns": number; "fast ns": number; times: string }> = {};
for (const [index, { name, fast }] of CASES.entries()) {
  const before = nativeNs[index] ?? Number.NaN;
  const after = await measureNs(fast);
  rows[name] = {
    "Node ns": Math.round(before),
    "fast ns": Math.round(after),
    times: (before / after).toFixed(1),
  };
}
process.stdout.write(`Node ${process.version}\n`);
// oxlint-disable-next-line no-console -- a table for people
console.table(rows);
