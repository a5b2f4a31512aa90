import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Counters } from "../../runtime/observe/counters.ts";

describe("Counters", () => {
  it("adds answers up by class, and tells open requests from finished ones", () => {
    const counters = new Counters();
    counters.requests = 9;
    for (const status of [200, 204, 304, 404, 413, 503, 499]) counters.finished(status);
    counters.connections.open = 2;
    counters.limits.bodyLimit++;
    const traffic = counters.snapshot({ queued: 1, inFlight: 0 });
    assert.deepEqual(traffic.requests, { received: 9, open: 2, queued: 1, inFlight: 0 });
    assert.deepEqual(traffic.responses, { "2xx": 2, "3xx": 1, "4xx": 2, "5xx": 1, clientLeft: 1 });
    assert.deepEqual(traffic.connections, { open: 2, accepted: 0 });
    assert.equal(traffic.limits.bodyLimit, 1);
    assert.deepEqual(structuredClone(traffic), traffic);
    counters.limits.bodyLimit++;
    assert.equal(traffic.limits.bodyLimit, 1, "a snapshot stays as it is");
  });
});
