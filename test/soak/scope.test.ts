import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Scope } from "../../scripts/soak/scope.ts";

describe("Scope", () => {
  it("runs all callbacks in order, once, and throws the first error", async () => {
    const scope = new Scope();
    const ran: number[] = [];
    scope.after(() => void ran.push(1));
    scope.after(() => {
      throw new Error("second");
    });
    scope.after(async () => {
      await Promise.resolve();
      ran.push(3);
      throw new Error("third");
    });
    await assert.rejects(scope.close(), { message: "second" });
    await assert.rejects(scope.close(), { message: "second" });
    assert.deepEqual(ran, [1, 3]);
  });
});
