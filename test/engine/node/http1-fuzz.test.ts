import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import * as fc from "fast-check";
import { findDifference } from "./http1-fuzz/compare.ts";
import { OwnParser, type Reading, ReferenceParser } from "./http1-fuzz/readings.ts";
import { connectionBytes } from "./http1-fuzz/requests.ts";
import { openListener } from "./open-listener.ts";

/** More runs, or others: `FUZZ_RUNS=100000 FUZZ_SEED=7`. The seed determines all connections. */
const { FUZZ_RUNS = "400", FUZZ_SEED = "1" } = process.env;

describe("Http1Connection", () => {
  it("reads generated and mutated requests as llhttp does", async (t) => {
    const parser = await openParser(t);
    const reference = new ReferenceParser();
    let common = 0;
    await fc.assert(
      fc.asyncProperty(connectionBytes, async (bytes) => {
        const own = await parser.read([bytes]);
        const expected = await reference.read(bytes);
        common += Math.min(own.requests.length, expected.requests.length);
        const text = bytes.toString("latin1");
        assert.equal(findDifference(own, expected, text), null, JSON.stringify(text));
      }),
      { numRuns: Number(FUZZ_RUNS), seed: Number(FUZZ_SEED) },
    );
    // Connections of refused requests alone would show little.
    assert.ok(common >= Number(FUZZ_RUNS) / 2, `only ${common} requests were read by both`);
  });

  it("reads the same wherever the bytes are split", async (t) => {
    const parser = await openParser(t);
    await fc.assert(
      fc.asyncProperty(connectionBytes, async (bytes) => {
        const whole = outcomeOf(await parser.read([bytes]));
        const singly = await parser.read([...bytes].map((byte) => Buffer.from([byte])));
        assert.deepEqual(outcomeOf(singly), whole, "byte by byte");
        for (let at = 1; at < bytes.length; at++) {
          const halves = await parser.read([bytes.subarray(0, at), bytes.subarray(at)]);
          assert.deepEqual(outcomeOf(halves), whole, `split at byte ${at}`);
        }
      }),
      { numRuns: Math.ceil(Number(FUZZ_RUNS) / 40), seed: Number(FUZZ_SEED) },
    );
  });
});

async function openParser(t: TestContext): Promise<OwnParser> {
  const { listener } = await openListener(t, {
    http2: null,
    onRequest: (client) => parser.onRequest(client),
    onFinished: (client, status) => parser.onFinished(client, status),
  });
  const parser = new OwnParser(listener);
  return parser;
}

/** A client of several faults may learn of another one first. */
function outcomeOf({ requests, refusal }: Reading): unknown {
  return { requests, isRefused: refusal !== null };
}
