import assert from "node:assert/strict";
import { once } from "node:events";
import { createRequire } from "node:module";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { describe, it } from "node:test";
import { attributesOf, openCollector, type OtlpSpan } from "../helpers/otlp-collector.ts";
import { startServer } from "../helpers/start-server.ts";

const API = createRequire(import.meta.url).resolve("@opentelemetry/api");

/** The package of the project: that of this repository. */
const NODE_MODULES = {
  "node_modules/@opentelemetry/api/package.json": `{ "name": "@opentelemetry/api", "version": "1.9.0", "main": "index.js" }`,
  "node_modules/@opentelemetry/api/index.js": `module.exports = require(${JSON.stringify(API)});`,
};

const HANDLERS = {
  "users/[id].ts": `import { trace } from "@opentelemetry/api";
  export default async (request) => {
    const before = trace.getActiveSpan()?.spanContext();
    await new Promise((resolve) => setImmediate(resolve));
    for (let number = 0; number < 4; number++) await null;
    const after = trace.getActiveSpan()?.spanContext();
    const { traceId, spanId, traceFlags, traceState } = after ?? {};
    return Response.json({
      isSame: before === after,
      traceId, spanId, traceFlags, state: traceState?.serialize(),
      parent: request.headers.get("traceparent"),
    });
  };`,
  "fails.ts": `export default () => { throw new Error("no"); };`,
};

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const PARENT = "b7ad6b7169203331";

interface Seen {
  isSame: boolean;
  traceId: string;
  spanId: string;
  traceFlags: number;
  state?: string;
  parent: string;
}

function find(spans: readonly OtlpSpan[], name: string): OtlpSpan {
  const span = spans.find((each) => each.name === name);
  assert.ok(span !== undefined, `no span ${name} in ${spans.map((each) => each.name).join(", ")}`);
  return span;
}

describe("otlp", { timeout: 600_000 }, () => {
  it("traces requests from the client to handlers and upstreams, and sends the last ones at the end", async (t) => {
    const collector = await openCollector(t);
    const upstreamFields: IncomingHttpHeaders[] = [];
    const upstream = createServer((request, response) => {
      upstreamFields.push(request.headers);
      response.end("from the upstream");
    }).listen(0, "127.0.0.1");
    t.after(() => upstream.close());
    await once(upstream, "listening");
    const address = upstream.address();
    assert.ok(typeof address === "object" && address !== null);
    const config = {
      otlp: collector.url,
      rules: [{ path: "/old/**", proxy: `http://127.0.0.1:${address.port}` }],
    };
    const server = await startServer(t, {
      handlers: HANDLERS,
      workers: 1,
      files: { ...NODE_MODULES, "edgicorn.config.json": JSON.stringify(config) },
      env: { OTEL_SERVICE_NAME: "shop", OTEL_EXPORTER_OTLP_HEADERS: "x-key=secret" },
    });

    const fresh = (await (await server.fetch("/users/7?token=secret")).json()) as Seen;
    assert.deepEqual([fresh.isSame, fresh.traceFlags], [true, 1]);
    assert.equal(fresh.parent, `00-${fresh.traceId}-${fresh.spanId}-01`);

    // A stranger that forbids to sample: the server decides.
    const headers = { traceparent: `00-${TRACE}-${PARENT}-00`, tracestate: "vendor=1" };
    const joined = (await (await server.fetch("/users/8", { headers })).json()) as Seen;
    assert.deepEqual([joined.traceId, joined.state], [TRACE, "vendor=1"]);
    assert.notEqual(joined.spanId, PARENT);

    assert.equal((await server.fetch("/fails")).status, 500);
    await (await server.fetch("/old/page", { headers })).arrayBuffer();
    const [fields] = upstreamFields;
    assert.match(
      String(fields?.["traceparent"]),
      new RegExp(`^00-${TRACE}-(?!${PARENT})[\\da-f]{16}-01$`),
    );
    assert.equal(fields?.["tracestate"], "vendor=1");

    server.kill("SIGTERM");
    assert.deepEqual(await server.exit, { code: 0, signal: null });

    const { spans, received } = collector;
    const [first] = received;
    assert.equal(first?.headers["x-key"], "secret");
    const [resource] = first?.body.resourceSpans ?? [];
    assert.ok(resource !== undefined);
    assert.equal(attributesOf(resource.resource)["service.name"], "shop");

    const own = spans.filter(({ traceId }) => traceId === fresh.traceId);
    const request = find(own, "GET /users/:id");
    assert.deepEqual([request.spanId, request.parentSpanId], [fresh.spanId, undefined]);
    const attributes = attributesOf(request);
    assert.deepEqual(
      [attributes["url.path"], attributes["http.response.status_code"], attributes["http.route"]],
      ["/users/7", 200, "/users/:id"],
    );
    const channel = find(own, "channel");
    const handler = find(own, "handler");
    assert.deepEqual(
      [channel.parentSpanId, handler.parentSpanId],
      [request.spanId, channel.spanId],
    );
    for (const span of [request, channel, handler]) {
      assert.ok(BigInt(span.endTimeUnixNano) >= BigInt(span.startTimeUnixNano));
    }

    const withParent = spans.filter(({ parentSpanId }) => parentSpanId === PARENT);
    assert.deepEqual(withParent.map(({ name }) => name).toSorted(), ["GET", "GET /users/:id"]);
    for (const { traceId, traceState } of withParent) {
      assert.deepEqual([traceId, traceState], [TRACE, "vendor=1"]);
    }
    const failed = find(spans, "GET /fails");
    assert.deepEqual(failed.status, { code: 2 });
    assert.doesNotMatch(JSON.stringify(spans), /secret/);
  });

  it("passes on traces that it does not sample, and sends none", async (t) => {
    const collector = await openCollector(t);
    const server = await startServer(t, {
      handlers: HANDLERS,
      workers: 1,
      files: NODE_MODULES,
      flags: ["--otlp", collector.url, "--trace-sample", "0", "--trusted-proxies", "127.0.0.1"],
    });
    const seen = (await (await server.fetch("/users/1")).json()) as Seen;
    assert.deepEqual([seen.isSame, seen.traceFlags], [true, 0]);
    assert.match(seen.parent, /-00$/);
    // A trusted proxy decides.
    const headers = { traceparent: `00-${TRACE}-${PARENT}-01`, "x-forwarded-for": "192.0.2.7" };
    const sampled = (await (await server.fetch("/users/2", { headers })).json()) as Seen;
    assert.equal(sampled.traceFlags, 1);
    server.kill("SIGTERM");
    await server.exit;
    const [span, ...others] = collector.spans.filter(({ kind }) => kind === 2);
    assert.deepEqual(others, []);
    assert.ok(span !== undefined);
    assert.equal(attributesOf(span)["client.address"], "192.0.2.7");
  });
});
