import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  describeReadiness,
  isReady,
  type Readiness,
  STARTING,
} from "../../runtime/observe/readiness.ts";

const BOTH = [
  { name: "default", readyWorkers: 2, isOptional: false },
  { name: "reports", readyWorkers: 1, isOptional: false },
];
const SERVING: Readiness = { phase: "serving", canServe: true, pools: BOTH };

function without(name: string, { isOptional = false } = {}): Readiness {
  const pools = BOTH.map((pool) =>
    pool.name === name ? { ...pool, readyWorkers: 0, isOptional } : pool,
  );
  return { ...SERVING, pools };
}

describe("isReady()", () => {
  const cases: [string, Readiness, boolean][] = [
    ["all pools ready", SERVING, true],
    ["one pool without a worker", without("reports"), false],
    ["an optional pool without a worker", without("reports", { isOptional: true }), true],
    ["no pool at all, but files", { ...SERVING, pools: [] }, true],
    ["nothing that answers", { phase: "serving", canServe: false, pools: [] }, false],
    ["draining", { ...SERVING, phase: "draining" }, false],
    ["starting", STARTING, false],
  ];
  for (const [name, readiness, expected] of cases) {
    it(`is ${expected} with ${name}`, () => assert.equal(isReady(readiness), expected));
  }
});

describe("describeReadiness()", () => {
  it("names the pool that has no worker", () => {
    assert.equal(
      describeReadiness(without("reports")),
      "[+] server: serving\n[+] pool default: 2 workers are ready\n[-] pool reports: no worker is ready\nnot ready\n",
    );
    assert.equal(
      describeReadiness(without("default", { isOptional: true })),
      "[+] server: serving\n[+] pool default: no worker is ready (optional)\n[+] pool reports: 1 worker is ready\nready\n",
    );
  });

  it("names the phase, and missing handlers", () => {
    assert.equal(describeReadiness(STARTING), "[-] server: starting\nnot ready\n");
    assert.equal(
      describeReadiness({ phase: "serving", canServe: false, pools: [] }),
      "[+] server: serving\n[-] handlers: none are loaded\nnot ready\n",
    );
  });
});
