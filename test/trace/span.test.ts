import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type FinishedSpan, toIntervals, toOtlpSpans } from "../../runtime/trace/span.ts";
import { attributesOf, type OtlpSpan } from "../helpers/otlp-collector.ts";

const SPAN: FinishedSpan = {
  context: {
    traceId: "1".repeat(32),
    spanId: "2".repeat(16),
    parentId: "3".repeat(16),
    traceState: "a=1",
    isSampled: true,
  },
  method: "GET",
  path: "/users/7",
  origin: "https://example.com:8443",
  protocol: "HTTP/1.1",
  clientAddress: "192.0.2.1",
  userAgent: "curl/8",
  route: "/users/:id",
  status: 200,
  bytes: 12,
  requestId: "ab-1",
  workerId: 3,
  cached: null,
  passedOn: false,
  upstream: null,
  startMs: 1_764_457_000_123.25,
  endMs: 1_764_457_000_130.5,
  queue: null,
  worker: null,
  handler: null,
};

function toSpans(change: Partial<FinishedSpan>): OtlpSpan[] {
  let number = 0;
  // The collector of the other tests checks the form.
  return toOtlpSpans({ ...SPAN, ...change }, () => `new-${++number}`) as OtlpSpan[];
}

describe("toOtlpSpans()", () => {
  it("names the request by the semantic conventions for HTTP servers", () => {
    const [span, ...others] = toSpans({});
    assert.deepEqual(others, []);
    assert.ok(span !== undefined);
    const { attributes, ...rest } = span;
    assert.deepEqual(rest, {
      traceId: "1".repeat(32),
      spanId: "2".repeat(16),
      traceState: "a=1",
      parentSpanId: "3".repeat(16),
      name: "GET /users/:id",
      kind: 2,
      startTimeUnixNano: "1764457000123250000",
      endTimeUnixNano: "1764457000130500000",
      status: {},
    });
    assert.deepEqual(attributesOf({ attributes }), {
      "http.request.method": "GET",
      "http.route": "/users/:id",
      "http.response.status_code": 200,
      "http.response.body.size": 12,
      "url.scheme": "https",
      "url.path": "/users/7",
      "server.address": "example.com",
      "server.port": 8443,
      "client.address": "192.0.2.1",
      "network.protocol.version": "1.1",
      "user_agent.original": "curl/8",
      "edgicorn.request.id": "ab-1",
      "edgicorn.worker.id": 3,
    });
  });

  const cases: [label: string, change: Partial<FinishedSpan>, name: string, expected: object][] = [
    ["an error", { status: 503 }, "GET /users/:id", { "error.type": "503" }],
    [
      "a client's fault",
      { status: 404, route: "unmatched" },
      "GET",
      { "edgicorn.place": "unmatched" },
    ],
    ["a client that left", { status: 499 }, "GET /users/:id", { "error.type": "client_left" }],
    [
      "an unknown method",
      { method: "BREW", route: "files" },
      "_OTHER",
      { "http.request.method": "_OTHER", "http.request.method_original": "BREW" },
    ],
    ["HTTP/2", { protocol: "HTTP/2.0" }, "GET /users/:id", { "network.protocol.version": "2" }],
    ["HTTP/1.0", { protocol: "HTTP/1.0" }, "GET /users/:id", { "network.protocol.version": "1.0" }],
    ["the usual port", { origin: "http://a.test" }, "GET /users/:id", { "server.port": 80 }],
    [
      "a long path",
      { path: `/${"x".repeat(9_000)}` },
      "GET /users/:id",
      { "url.path": `/${"x".repeat(1_023)}` },
    ],
    [
      "a proxy with a cache",
      { cached: "miss", upstream: { name: "http://a", attempts: 2 } },
      "GET /users/:id",
      {
        "edgicorn.cache": "miss",
        "edgicorn.upstream.name": "http://a",
        "edgicorn.upstream.attempts": 2,
      },
    ],
  ];
  for (const [label, change, name, expected] of cases) {
    it(`describes ${label}`, () => {
      const [span] = toSpans(change);
      assert.ok(span !== undefined);
      assert.equal(span.name, name);
      assert.deepEqual({ ...attributesOf(span), ...expected }, attributesOf(span));
      assert.deepEqual(span.status, (change.status ?? 200) >= 500 ? { code: 2 } : {});
    });
  }

  it("leaves out the status of an answer that no client got", () => {
    const [span] = toSpans({ status: 499 });
    assert.ok(span !== undefined && !("http.response.status_code" in attributesOf(span)));
  });

  it("has child spans: the queue, the way to the worker and back, and in it the handler", () => {
    const [server, queue, channel, handler] = toSpans({
      queue: { startMs: 1_764_457_000_124, endMs: 1_764_457_000_125 },
      worker: { startMs: 1_764_457_000_125, endMs: 1_764_457_000_129 },
      handler: { startMs: 1_764_457_000_126, endMs: 1_764_457_000_128 },
    });
    assert.deepEqual([queue?.name, channel?.name, handler?.name], ["queue", "channel", "handler"]);
    assert.deepEqual(
      [queue?.parentSpanId, channel?.parentSpanId, handler?.parentSpanId],
      [server?.spanId, server?.spanId, channel?.spanId],
    );
    assert.equal(handler?.startTimeUnixNano, "1764457000126000000");
    assert.equal(new Set([queue, channel, handler].map((span) => span?.spanId)).size, 3);
  });
});

describe("toIntervals()", () => {
  it("turns times of three clocks into Unix times", () => {
    const timings = {
      queueMs: 2,
      dispatchedMs: 105,
      answeredMs: 110,
      handler: { startMs: 50_106, durationMs: 3 },
    };
    const clocks = { unixOffsetMs: 1_000_000, monotonicOffsetMs: 50_000 };
    assert.deepEqual(toIntervals({ timings }, clocks), {
      queue: { startMs: 1_000_103, endMs: 1_000_105 },
      worker: { startMs: 1_000_105, endMs: 1_000_110 },
      handler: { startMs: 1_000_106, endMs: 1_000_109 },
    });
    const none = { queue: null, worker: null, handler: null };
    assert.deepEqual(toIntervals({}, clocks), none);
    const { worker, queue, handler } = toIntervals(
      { timings: { ...timings, queueMs: 0, answeredMs: null, handler: null } },
      clocks,
    );
    assert.deepEqual({ worker, queue, handler }, none);
  });
});
