import assert from "node:assert/strict";
import { describe, it } from "node:test";
import pino from "pino";
import * as fc from "fast-check";
import { applyFilters, toRefusal } from "../../runtime/http/reply.ts";
import { findField } from "../../runtime/http/find-field.ts";
import { runFinishing } from "../../runtime/http/when-finished.ts";
import { ConcurrencyLimiter } from "../../runtime/limits/concurrency-limiter.ts";
import { KeptStates, type NextStates } from "../../runtime/lib/kept-states.ts";
import { type RateLimit, RateLimiter } from "../../runtime/limits/rate-limiter.ts";
import { SharedTakings } from "../../runtime/limits/shared-takings.ts";
import { Counters } from "../../runtime/observe/counters.ts";
import { FakeClient } from "../dispatch/fake-client.ts";

const BY_ADDRESS: RateLimit = {
  rate: { requests: 100, windowMs: 60_000 },
  burst: 100,
  key: "address",
  dryRun: false,
};

/** Parts of a server, and the messages that it logs. */
function createParts(states: NextStates = new KeptStates().begin()) {
  const lines: { msg: string; refused: number }[] = [];
  // Each line is one of RefusalLog.
  const log = pino(
    {},
    { write: (line: string) => lines.push(JSON.parse(line) as (typeof lines)[0]) },
  );
  const counters = new Counters();
  const takings = new SharedTakings({ send: () => {}, find: () => null, now: () => 0 });
  return {
    lines,
    counters,
    options: { log, counters, place: "rules[0]", id: "a", states, takings },
  };
}

function request(options: { nowMs?: number; address?: string } = {}): FakeClient {
  const client = new FakeClient(1, { receivedMs: options.nowMs ?? 1_000 });
  client.head.clientAddress = options.address ?? "192.0.2.1";
  return client;
}

/** Returns the RateLimit fields of an answer to the client. */
function fieldsOf(client: FakeClient): (string | undefined)[] {
  const { fields } = applyFilters(toRefusal(200), client);
  return ["ratelimit-policy", "ratelimit"].map((name) => findField(fields, name));
}

describe("RateLimiter", () => {
  it("answers 429 with Retry-After in whole seconds and the RateLimit fields", () => {
    const { options, counters, lines } = createParts();
    const limiter = new RateLimiter({ ...BY_ADDRESS, burst: 2 }, options);
    const [first, second, third] = [request(), request(), request()];
    assert.deepEqual(
      [first, second, third].map((client) => limiter.admits(client)),
      [true, true, false],
    );
    assert.deepEqual(third.outcomes, [{ kind: "refused", status: 429, retryAfterSeconds: 1 }]);
    assert.deepEqual([first.outcomes, second.outcomes], [[], []]);
    assert.deepEqual(fieldsOf(first), ['"100/min";q=100;w=60', '"100/min";r=1;t=1']);
    assert.deepEqual(fieldsOf(second), ['"100/min";q=100;w=60', '"100/min";r=0;t=1']);
    assert.deepEqual(fieldsOf(third), ['"100/min";q=100;w=60', '"100/min";r=0;t=1']);
    assert.deepEqual([counters.limits.rateLimit, third.limitedBy], [1, "rateLimit"]);
    assert.equal(limiter.admits(request({ address: "192.0.2.2" })), true);
    assert.equal(lines.length, 1);
  });

  it("tells a time after which the next request is admitted", () => {
    const rates = fc.record({
      requests: fc.integer({ min: 1, max: 1_000 }),
      windowMs: fc.integer({ min: 1, max: 3_600_000 }),
    });
    fc.assert(
      fc.property(rates, fc.integer({ min: 1, max: 50 }), (rate, burst) => {
        const limiter = new RateLimiter({ ...BY_ADDRESS, rate, burst }, createParts().options);
        let refused = request();
        while (limiter.admits(refused)) refused = request();
        const [outcome] = refused.outcomes;
        assert.ok(outcome?.kind === "refused" && outcome.retryAfterSeconds !== undefined);
        const { retryAfterSeconds } = outcome;
        assert.ok(Number.isSafeInteger(retryAfterSeconds) && retryAfterSeconds >= 1);
        assert.equal(limiter.admits(request({ nowMs: 1_000 + retryAfterSeconds * 1_000 })), true);
      }),
    );
  });

  it("only logs in a dry run", () => {
    const { options, counters, lines } = createParts();
    const limiter = new RateLimiter({ ...BY_ADDRESS, burst: 1, dryRun: true }, options);
    const clients = Array.from({ length: 50 }, () => request());
    assert.ok(clients.every((client) => limiter.admits(client) && client.filters === null));
    assert.equal(counters.limits.rateLimit, 0);
    assert.deepEqual(
      lines.map(({ msg, refused }) => [msg, refused]),
      [["rate limit (dry run): requests that it would refuse", 1]],
    );
  });

  it("keeps its buckets as long as the limit is the same", () => {
    const states = new KeptStates();
    function reload(limit: RateLimit): RateLimiter {
      const next = states.begin();
      const limiter = new RateLimiter(limit, createParts(next).options);
      next.commit();
      return limiter;
    }
    const limit = { ...BY_ADDRESS, burst: 1 };
    assert.equal(reload(limit).admits(request()), true);
    assert.equal(reload({ ...limit }).admits(request()), false);
    const discarded = new RateLimiter({ ...limit, burst: 2 }, createParts(states.begin()).options);
    assert.equal(discarded.admits(request()), true);
    assert.equal(reload(limit).admits(request()), false, "nothing was committed");
    assert.equal(reload({ ...limit, burst: 2 }).admits(request()), true, "another limit");
    assert.equal(states.size, 1);
  });
});

describe("ConcurrencyLimiter", () => {
  it("admits so many at a time, and one more for each that ends", () => {
    const { options, counters } = createParts();
    const limiter = new ConcurrencyLimiter({ most: 2, key: "address" }, options);
    const [one, two, three, other] = [request(), request(), request(), request({ address: "::1" })];
    assert.deepEqual(
      [one, two, three, other].map((client) => limiter.admits(client)),
      [true, true, false, true],
    );
    assert.deepEqual(three.outcomes, [{ kind: "refused", status: 429, retryAfterSeconds: 1 }]);
    assert.equal(counters.limits.concurrencyLimit, 1);
    assert.equal(three.finishing, null, "a refused request frees no place");
    runFinishing(one);
    runFinishing(one);
    assert.deepEqual([limiter.admits(request()), limiter.admits(request())], [true, false]);
  });

  it("answers 503 where all clients share the limit", () => {
    const { options } = createParts();
    const limiter = new ConcurrencyLimiter({ most: 1, key: "site" }, options);
    const refused = request({ address: "192.0.2.7" });
    assert.deepEqual([limiter.admits(request()), limiter.admits(refused)], [true, false]);
    assert.deepEqual(refused.outcomes, [{ kind: "refused", status: 503, retryAfterSeconds: 1 }]);
  });

  it("counts requests of the old config against a changed limit", () => {
    const states = new KeptStates();
    const first = states.begin();
    const old = new ConcurrencyLimiter({ most: 5, key: "site" }, createParts(first).options);
    const clients = [request(), request(), request()];
    assert.ok(clients.every((client) => old.admits(client)));
    first.commit();
    const next = states.begin();
    const limiter = new ConcurrencyLimiter({ most: 2, key: "site" }, createParts(next).options);
    next.commit();
    assert.equal(limiter.admits(request()), false);
    for (const client of clients) runFinishing(client);
    assert.equal(limiter.admits(request()), true);
  });
});
