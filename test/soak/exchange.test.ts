import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Received } from "../../runtime/drill/connection.ts";
import { findAccessBreaches, type ExchangeRecord } from "../../scripts/soak/exchange-load.ts";
import {
  expectOf,
  headOf,
  pathOf,
  planExchange,
  type Asked,
  type ExchangePlan,
} from "../../scripts/soak/exchange-plan.ts";
import { sequence } from "../../scripts/soak/random.ts";
import { judge } from "../../scripts/soak/run-exchange.ts";

const PLAN: ExchangePlan = {
  n: 7,
  asked: "produces",
  spooled: false,
  method: "GET",
  from: 3,
  requestBytes: 0,
  responseBytes: 100,
  responsePiece: 10,
  pauseEvery: 0,
  announced: false,
  framing: "none",
  pieceSeed: 1,
  readingPauses: 0,
  break: null,
};

function received(status: number | null, bodyBytes: number, complete: boolean): Received {
  const head = status === null ? null : { status, fields: new Map<string, string>() };
  return { head, bodyBytes, complete };
}

const ASKED: ReadonlySet<Asked> = new Set([
  "echo",
  "reads",
  "ignores",
  "glances",
  "produces",
  "breaks",
  "whole",
  "throws",
  "waits",
  "file",
]);

describe("planExchange()", () => {
  const random = sequence(1);
  const plans = Array.from({ length: 5_000 }, (_, n) => planExchange(n, random));

  it("is determined by its seed", () => {
    assert.deepEqual(planExchange(1, sequence(5)), planExchange(1, sequence(5)));
  });

  it("covers all variants", () => {
    assert.deepEqual(new Set(plans.map(({ asked }) => asked)), ASKED);
    const breaks = new Set(plans.map((plan) => plan.break?.kind));
    const kinds = ["leaves-sending", "leaves-waiting", "leaves-reading", "stalls-sending"];
    assert.deepEqual(breaks, new Set([undefined, ...kinds]));
  });

  it("breaks within the bytes that are sent and received", () => {
    for (const plan of plans) {
      const sent = headOf(plan).length + plan.requestBytes;
      const brk = plan.break;
      if (brk?.kind === "leaves-sending") assert.ok(brk.atByte < sent);
      // uWebSockets.js cuts an incomplete head, and reports it to no callback.
      if (brk?.kind === "stalls-sending") assert.ok(brk.atByte >= headOf(plan).length);
      if (brk?.kind === "leaves-reading") assert.ok(brk.atByte <= plan.responseBytes);
    }
  });
});

describe("expectOf()", () => {
  it("is 408 for a client that stops sending, whatever it asked for", () => {
    const plan: ExchangePlan = {
      ...PLAN,
      asked: "reads",
      break: { kind: "stalls-sending", atByte: 500 },
    };
    assert.deepEqual(expectOf(plan), { kind: "answered", status: 408, body: null });
  });

  it("has no body for HEAD, not even one that breaks", () => {
    const expected = expectOf({ ...PLAN, asked: "breaks", method: "HEAD" });
    assert.deepEqual(expected, { kind: "answered", status: 200, body: { from: 3, bytes: 0 } });
  });
});

describe("judge()", () => {
  const leaving: ExchangePlan = {
    ...PLAN,
    break: { kind: "leaves-reading", atByte: 5, how: "close" },
  };
  const breaking: ExchangePlan = { ...PLAN, asked: "breaks" };

  it("accepts a whole answer, a broken one where it must break, and a client that left", () => {
    assert.deepEqual(judge(PLAN, received(200, 100, true)), { kind: "answered", status: 200 });
    assert.deepEqual(judge(breaking, received(200, 60, false)), { kind: "broken", status: 200 });
    assert.deepEqual(judge(breaking, received(null, 0, false)), { kind: "broken", status: null });
    assert.deepEqual(judge(breaking, received(500, 22, true)), { kind: "answered", status: 500 });
    assert.deepEqual(judge(leaving, received(200, 10, false)), { kind: "left" });
    assert.deepEqual(judge(leaving, received(200, 100, true)), { kind: "answered", status: 200 });
  });

  const wrong: readonly (readonly [string, ExchangePlan, Received])[] = [
    ["no response", PLAN, received(null, 0, false)],
    ["another status", PLAN, received(500, 100, true)],
    ["a failure that is cut short", breaking, received(500, 10, false)],
    ["a response that is broken off", PLAN, received(200, 99, false)],
    ["a short response that ends normally", PLAN, received(200, 99, true)],
    [
      "a response that ends normally although its source failed",
      breaking,
      received(200, 100, true),
    ],
    ["another status for a client that left late", leaving, received(500, 100, true)],
  ];
  for (const [title, plan, seen] of wrong) {
    it(`refuses ${title}`, () => {
      assert.throws(() => judge(plan, seen));
    });
  }
});

describe("findAccessBreaches()", () => {
  const path = pathOf(PLAN);
  const answered: ExchangeRecord = { plan: PLAN, outcome: { kind: "answered", status: 200 } };
  const left: ExchangeRecord = { plan: PLAN, outcome: { kind: "left" } };
  const broken: ExchangeRecord = { plan: PLAN, outcome: { kind: "broken", status: 200 } };
  const stalls: ExchangePlan = { ...PLAN, break: { kind: "stalls-sending", atByte: 10 } };
  const cut: ExchangeRecord = { plan: stalls, outcome: { kind: "broken", status: 200 } };
  const cases: readonly (readonly [string, ExchangeRecord, readonly number[], boolean])[] = [
    ["one line with its status", answered, [200], true],
    ["no line", answered, [], false],
    ["two lines", answered, [200, 200], false],
    ["a line with another status", answered, [499], false],
    ["a broken answer that is logged as such", broken, [502], true],
    ["a broken answer that is logged as whole", broken, [200], false],
    ["a broken answer that is logged as if its client had left", broken, [499], false],
    ["an answer that was cut off with its client", cut, [499], true],
    ["no line for a client that left", left, [], true],
    ["an answer to a client that left", left, [200], true],
    ["two lines for a client that left", left, [499, 200], false],
  ];
  for (const [title, record, statuses, isWell] of cases) {
    it(`${isWell ? "takes" : "finds"} ${title}`, () => {
      const lines = statuses.map((status) => ({ path, status }));
      assert.equal(findAccessBreaches([record], lines).length === 0, isWell);
    });
  }
});
