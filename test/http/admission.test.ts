import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Admission } from "../../runtime/http/admission.ts";
import { Counters } from "../../runtime/observe/counters.ts";
import { FakeClient } from "../dispatch/fake-client.ts";

describe("Admission", () => {
  it("refuses requests above its limit, except reserved ones", () => {
    const counters = new Counters();
    const refusedBy: number[] = [];
    const admission = new Admission({ counters, onRefused: (limit) => refusedBy.push(limit) });
    const ask = (isReserved = false): FakeClient => {
      const client = new FakeClient(1);
      if (admission.admits(client, { isReserved })) counters.admitted++;
      return client;
    };
    assert.equal(ask().settled, false);
    admission.limit = 2;
    assert.equal(ask().settled, false);
    const refused = ask();
    assert.deepEqual(refused.outcomes, [{ kind: "refused", status: 503, retryAfterSeconds: 1 }]);
    assert.equal(refused.limitedBy, "maxRequests");
    assert.equal(ask(true).settled, false);
    assert.deepEqual([counters.admitted, counters.limits.maxRequests], [3, 1]);
    counters.admitted = 1;
    assert.equal(ask().settled, false);
    assert.deepEqual(refusedBy, [2]);
  });
});
