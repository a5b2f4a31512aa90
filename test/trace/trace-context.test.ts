import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { placeInTrace, TraceIds, withTraceFields } from "../../runtime/trace/trace-context.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const PARENT = "b7ad6b7169203331";
const SAMPLED = `traceparent\n00-${TRACE}-${PARENT}-01`;
const NOT_SAMPLED = `traceparent\n00-${TRACE}-${PARENT}-00`;

/** Draws the same number each time. */
function draw(value: number): { next: (bytes: 8 | 16) => string; draw: () => number } {
  return { next: (bytes) => "a".repeat(bytes * 2), draw: () => value };
}

describe("placeInTrace()", () => {
  it("begins a trace for a request that names none, or no valid one", () => {
    for (const fields of [
      "",
      "traceparent\n00-0-0-01",
      "x\ntraceparent\ny\nz",
      "tracestate\na=1",
    ]) {
      assert.deepEqual(placeInTrace(fields, { trustsParent: true, sample: 1, ids: draw(0.5) }), {
        traceId: "a".repeat(32),
        spanId: "a".repeat(16),
        parentId: null,
        traceState: "",
        isSampled: true,
      });
    }
  });

  it("continues the trace of a client, with its state", () => {
    const fields = `${NOT_SAMPLED}\ntracestate\nvendor=1`;
    const { traceId, spanId, parentId, traceState } = placeInTrace(fields, {
      trustsParent: false,
      sample: 1,
      ids: draw(0),
    });
    assert.deepEqual([traceId, parentId, traceState], [TRACE, PARENT, "vendor=1"]);
    assert.equal(spanId, "a".repeat(16));
    const long = `${NOT_SAMPLED}\ntracestate\n${"v".repeat(513)}`;
    const options = { trustsParent: false, sample: 1, ids: draw(0) };
    assert.equal(placeInTrace(long, options).traceState, "");
  });

  const cases: [
    fields: string,
    trustsParent: boolean,
    sample: number,
    drawn: number,
    isSampled: boolean,
  ][] = [
    [SAMPLED, true, 0, 0.9, true],
    [NOT_SAMPLED, true, 1, 0, false],
    // Strangers decide nothing.
    [SAMPLED, false, 0, 0, false],
    [NOT_SAMPLED, false, 1, 0.9, true],
    [SAMPLED, false, 0.1, 0.05, true],
    [SAMPLED, false, 0.1, 0.1, false],
    ["", true, 0.1, 0.05, true],
    ["", false, 0, 0, false],
  ];
  for (const [fields, trustsParent, sample, drawn, isSampled] of cases) {
    it(`samples ${isSampled}: ${JSON.stringify({ fields, trustsParent, sample, drawn })}`, () => {
      const options = { trustsParent, sample, ids: draw(drawn) };
      assert.equal(placeInTrace(fields, options).isSampled, isSampled);
    });
  }
});

describe("withTraceFields()", () => {
  const context = {
    traceId: TRACE,
    spanId: "c".repeat(16),
    parentId: PARENT,
    traceState: "",
    isSampled: true,
  };
  const own = `traceparent\n00-${TRACE}-${"c".repeat(16)}-01`;

  it("replaces the fields of the client, and leaves all others", () => {
    assert.equal(withTraceFields("", context), own);
    assert.equal(withTraceFields("accept\n*/*", context), `accept\n*/*\n${own}`);
    assert.equal(withTraceFields(`${NOT_SAMPLED}\nx\n1\n${SAMPLED}`, context), `x\n1\n${own}`);
    const notSampled = withTraceFields("", { ...context, isSampled: false });
    assert.equal(notSampled, own.replace(/01$/, "00"));
  });

  it("passes the state on with its trace, and not with another one", () => {
    const fields = `tracestate\na=1\n${SAMPLED}`;
    const kept = withTraceFields(fields, { ...context, traceState: "a=1" });
    assert.equal(kept, `${own}\ntracestate\na=1`);
    assert.equal(withTraceFields(fields, { ...context, parentId: null, traceState: "" }), own);
  });
});

describe("TraceIds", () => {
  it("makes ids that differ and are not zero, beyond the bytes that it takes in advance", () => {
    const ids = new TraceIds();
    const made = new Set(Array.from({ length: 2_000 }, (_, at) => ids.next(at % 2 === 0 ? 8 : 16)));
    assert.equal(made.size, 2_000);
    for (const id of made) assert.match(id, /^(?!0+$)(?:[\da-f]{16}|[\da-f]{32})$/);
    for (let at = 0; at < 2_000; at++) {
      const drawn = ids.draw();
      assert.ok(drawn >= 0 && drawn < 1);
    }
  });
});
