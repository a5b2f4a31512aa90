import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type Http2Facts,
  type Http2Treatment,
  treatConnection,
} from "../../../runtime/engine/node/http2-health.ts";

const FINE: Http2Facts = {
  receivedBytes: 1_000,
  provenBytes: 1_000,
  requestBytes: 500,
  seenRequestBytes: 500,
  sentBytes: 2_000,
  probedBytes: null,
  unansweredMs: null,
  waits: false,
  openStreams: 0,
  quietMs: 0,
  keepAliveTimeoutMs: 75_000,
};

const MIB = 1024 * 1024;

const CASES: readonly [name: string, facts: Partial<Http2Facts>, expected: Http2Treatment][] = [
  ["nothing happened", {}, "keep"],
  ["idle just as long as it may", { quietMs: 75_000 }, "keep"],
  ["idle for too long", { quietMs: 75_001 }, "idle"],
  ["long without a new stream, but with an open one", { quietMs: 75_001, openStreams: 1 }, "keep"],
  ["bytes came that are no request", { receivedBytes: 1_017 }, "probe"],
  ["bytes of requests came", { receivedBytes: 1_100, requestBytes: 600 }, "keep"],
  ["bytes came, and a response waits", { receivedBytes: 1_017, waits: true }, "keep"],
  ["the PING frame has left", { probedBytes: 1_983, unansweredMs: 1_000 }, "keep"],
  ["the PING frame has not left", { receivedBytes: 1_017, probedBytes: 2_000 }, "dead"],
  ["the PING frame may wait for the client", { probedBytes: 2_000, waits: true }, "keep"],
  ["a PING frame is not answered for a short time", { unansweredMs: 10_000 }, "keep"],
  ["a PING frame is not answered", { unansweredMs: 10_001 }, "dead"],
  ["nor is it while a stream is open", { unansweredMs: 10_001, openStreams: 1 }, "keep"],
  ["bytes came before the answer", { receivedBytes: 1_017, unansweredMs: 1_000 }, "keep"],
  [
    "bytes came, and an earlier PING frame is not answered for long",
    { receivedBytes: 1_017, unansweredMs: 10_001, openStreams: 1 },
    "probe",
  ],
  ["frames without content", { receivedBytes: 8 * MIB + 4_501 }, "flood"],
  ["as many frames without content as allowed", { receivedBytes: 8 * MIB + 4_500 }, "probe"],
  [
    "WINDOW_UPDATE frames for 100 GB that the server has sent",
    { receivedBytes: 80 * MIB, sentBytes: 100_000 * MIB },
    "probe",
  ],
  [
    "PING frames, and the answers to them",
    { receivedBytes: 16 * MIB, sentBytes: 16 * MIB },
    "flood",
  ],
  [
    "a large body",
    { receivedBytes: 99 * MIB, requestBytes: 98 * MIB, seenRequestBytes: 97 * MIB },
    "keep",
  ],
];

describe("treatConnection()", () => {
  for (const [name, facts, expected] of CASES) {
    it(`${expected}: ${name}`, () => {
      assert.equal(treatConnection({ ...FINE, ...facts }), expected);
    });
  }
});
