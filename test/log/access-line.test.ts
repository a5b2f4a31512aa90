import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import {
  type AccessEntry,
  createJsonLine,
  createPrettyLine,
} from "../../runtime/log/access-line.ts";

const entry: AccessEntry = {
  method: "GET",
  path: "/hello",
  status: 200,
  bytes: 12,
  durationMs: 0.42,
  worker: 1,
  requestId: "01J9",
};

const anyEntry: fc.Arbitrary<AccessEntry> = fc.record({
  method: fc.string({ unit: "binary" }),
  // Lone surrogates too, which a client can provoke with broken UTF-8.
  path: fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string({ unit: fc.nat(0xffff).map((code) => String.fromCharCode(code)) }),
  ),
  status: fc.integer({ min: 100, max: 599 }),
  bytes: fc.maxSafeNat(),
  durationMs: fc.double({ min: 0, max: 1e9, noNaN: true }),
  worker: fc.option(fc.nat()),
  requestId: fc.string(),
});

describe("createJsonLine()", () => {
  it("gives the fields of the other log lines first", () => {
    assert.equal(
      createJsonLine()(entry, Date.UTC(2026, 0, 2, 3, 4, 5, 6)),
      '{"level":"info","time":"2026-01-02T03:04:05.006Z","component":"access","method":"GET",' +
        '"path":"/hello","status":200,"bytes":12,"durationMs":0.420,"worker":1,"requestId":"01J9"}\n',
    );
  });

  it("is one line of ASCII that parses to the same values, whatever they are", () => {
    const format = createJsonLine();
    fc.assert(
      fc.property(anyEntry, fc.date({ noInvalidDate: true }), (any, time) => {
        const line = format(any, time.getTime());
        assert.match(line, /^[ -~]+\n$/);
        assert.deepEqual(JSON.parse(line), {
          level: "info",
          time: time.toISOString(),
          component: "access",
          ...any,
          durationMs: Math.round(any.durationMs * 1000) / 1000,
        });
      }),
      { numRuns: 2000 },
    );
  });

  it("writes null for numbers that JSON has not", () => {
    const odd = { ...entry, bytes: Number.NaN, durationMs: Number.POSITIVE_INFINITY };
    const parsed: unknown = JSON.parse(createJsonLine()(odd, 0));
    assert.deepEqual(parsed, {
      ...entry,
      level: "info",
      time: "1970-01-01T00:00:00.000Z",
      component: "access",
      bytes: null,
      durationMs: null,
    });
  });

  it("tells the time of each line", () => {
    const format = createJsonLine();
    const times = [5, 5, 6, 5].map((ms) => /"time":"[^"]*\.(\d+)Z"/.exec(format(entry, ms))?.[1]);
    assert.deepEqual(times, ["005", "005", "006", "005"]);
  });
});

describe("createPrettyLine()", () => {
  it("is short", () => {
    const time = new Date(2026, 0, 2, 3, 4, 5, 6).getTime();
    const format = createPrettyLine(false);
    assert.equal(
      format(entry, time),
      "03:04:05.006 200 GET /hello  12 B  0.420 ms  worker 1  01J9\n",
    );
    assert.equal(
      format({ ...entry, worker: null, bytes: 20_480 }, time),
      "03:04:05.006 200 GET /hello  20 KiB  0.420 ms  primary  01J9\n",
    );
  });

  it("lets nothing through that a terminal would obey", () => {
    const format = createPrettyLine(false);
    fc.assert(
      fc.property(anyEntry, (any) => {
        assert.match(format(any, 0), /^[ -~]+\n$/);
      }),
    );
  });
});
