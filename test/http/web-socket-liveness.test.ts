import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { judgeSilence, PING_AFTER_MS } from "../../runtime/http/web-socket-liveness.ts";

const HEARD = { heardMs: 1_000, pings: 0, pingedMs: 0, sentBytes: 0 };

describe("judgeSilence()", () => {
  for (const [name, silence, afterMs, expected] of [
    ["a client that was heard a moment ago", HEARD, PING_AFTER_MS - 1, "wait"],
    ["a silent client", HEARD, PING_AFTER_MS, "ping"],
    ["a ping that is young", { ...HEARD, pings: 1, pingedMs: 26_000 }, 34_999, "wait"],
    ["a ping without an answer", { ...HEARD, pings: 1, pingedMs: 26_000 }, 35_000, "ping"],
    ["a second ping that is young", { ...HEARD, pings: 2, pingedMs: 36_000 }, 44_999, "wait"],
    ["a message that takes long", { ...HEARD, pings: 2, pingedMs: 36_000 }, 297_000, "wait"],
    ["two pings without an answer", { ...HEARD, pings: 2, pingedMs: 36_000 }, 298_000, "lost"],
    // A process that was stopped for an hour has to read the answers first.
    ["one ping long ago", { ...HEARD, pings: 1, pingedMs: 26_000 }, 3_600_000, "ping"],
    [
      "bytes that a slow client still takes",
      { ...HEARD, pings: 2, pingedMs: 36_000, sentBytes: 4_000_000 },
      1_000_000,
      "wait",
    ],
    [
      "bytes that the slowest client would have taken",
      { ...HEARD, pings: 2, pingedMs: 36_000, sentBytes: 4_000_000 },
      1_036_000,
      "lost",
    ],
  ] as const) {
    it(`says "${expected}" to ${name}`, () => {
      assert.equal(judgeSilence(silence, HEARD.heardMs + afterMs), expected);
    });
  }
});
