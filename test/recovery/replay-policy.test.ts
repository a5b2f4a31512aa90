import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  judge,
  type LostExchange,
  mayRunTwice,
  type Verdict,
} from "../../runtime/recovery/replay-policy.ts";

const USUAL: LostExchange = {
  replayable: true,
  blame: "open",
  suspected: false,
  crashes: 0,
  losses: 0,
};

describe("judge()", () => {
  it("decides by the exchange, its history, and the end of its worker", () => {
    const alone = { blame: "it", suspected: true } as const;
    const table: [change: Partial<LostExchange>, ownDoing: boolean, verdict: Verdict][] = [
      // Killed from outside: up to ten more runs, the last ones alone.
      [{}, false, "replay"],
      [{ losses: 2 }, false, "replay"],
      [{ losses: 3 }, false, "isolate"],
      [{ losses: 9 }, false, "isolate"],
      [{ losses: 10 }, false, "fail"],
      [{ crashes: 1 }, false, "replay"],
      [{ replayable: false }, false, "fail"],
      [{ suspected: true }, false, "isolate"],
      [{ ...alone, crashes: 1 }, false, "isolate"],
      [{ ...alone, replayable: false }, false, "fail"],
      // It may be the cause: one more run, alone.
      [{}, true, "isolate"],
      [{ losses: 10 }, true, "isolate"],
      [{ crashes: 1 }, true, "fail"],
      [{ replayable: false }, true, "fail"],
      // Another exchange is the more likely cause: up to three more runs.
      [{ blame: "another" }, true, "isolate"],
      [{ blame: "another", crashes: 2 }, true, "isolate"],
      [{ blame: "another", crashes: 3 }, true, "fail"],
      [{ blame: "another", replayable: false }, true, "fail"],
      // It is the cause, whether or not it was a suspect before.
      [{ ...alone, crashes: 1 }, true, "fail"],
      [alone, true, "fail"],
      [{ ...alone, replayable: false }, true, "fail"],
    ];
    for (const [change, ownDoing, verdict] of table) {
      const found = judge({ ...USUAL, ...change }, { ownDoing, quarantine: true });
      assert.equal(found, verdict, `${JSON.stringify(change)}, ${ownDoing ? "own doing" : "not"}`);
    }
  });

  it("gives the one more run among others when nothing is quarantined", () => {
    const rules = { ownDoing: true, quarantine: false };
    assert.equal(judge(USUAL, rules), "replay");
    assert.equal(judge({ ...USUAL, crashes: 1 }, rules), "fail");
    assert.equal(judge({ ...USUAL, losses: 9 }, { ...rules, ownDoing: false }), "replay");
    assert.equal(judge({ ...USUAL, replayable: false }, rules), "fail");
  });
});

describe("mayRunTwice()", () => {
  it("follows RFC 9110 section 9.2.2", () => {
    const methods = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH", "get", "LOCK"];
    assert.deepEqual(
      methods.filter((method) => mayRunTwice(method, "host\na", null)),
      ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"],
    );
  });

  it("takes an Idempotency-Key for the client's word, and no value for a name", () => {
    const table: [fields: string, expected: boolean][] = [
      ["", false],
      ["idempotency-key\nk1", true],
      ["host\na\nidempotency-key\n", true],
      ["x-name\nidempotency-key\nhost\na", false],
      ["idempotency-keys\nk1", false],
    ];
    for (const [fields, expected] of table) {
      assert.equal(mayRunTwice("POST", fields, null), expected, JSON.stringify(fields));
    }
  });

  it("prefers the handler's declaration to everything else", () => {
    assert.equal(mayRunTwice("GET", "", false), false);
    assert.equal(mayRunTwice("POST", "idempotency-key\nk1", false), false);
    assert.equal(mayRunTwice("POST", "", true), true);
  });
});
