import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Change, type Part, switchAll } from "../../runtime/reload/part.ts";

/** The parts of these tests do not look at it. */
const CHANGE = {} as Change;

const UNCHANGED: Part = () => null;
const FAILS: Part = () => Promise.reject(new Error("no"));

/** Records the calls of its parts. */
class Parts {
  readonly calls: string[] = [];

  create(name: string, { discard = Promise.resolve() }: { discard?: Promise<void> } = {}): Part {
    return () => {
      this.calls.push(`prepare ${name}`);
      return {
        commit: () => void this.calls.push(`commit ${name}`),
        discard: () => {
          this.calls.push(`discard ${name}`);
          return discard;
        },
      };
    };
  }
}

describe("switchAll()", () => {
  const { signal } = new AbortController();

  it("prepares all parts before it commits the first, and leaves out parts that stay", async () => {
    const parts = new Parts();
    await switchAll([parts.create("a"), UNCHANGED, parts.create("b")], CHANGE, { signal });
    assert.deepEqual(parts.calls, ["prepare a", "prepare b", "commit a", "commit b"]);
  });

  it("discards the prepared parts when one fails, and says why it failed", async () => {
    const parts = new Parts();
    const discard = Promise.reject(new Error("cannot discard"));
    const list = [parts.create("a", { discard }), parts.create("b"), FAILS, parts.create("c")];
    await assert.rejects(switchAll(list, CHANGE, { signal }), /^Error: no$/);
    assert.deepEqual(parts.calls, ["prepare a", "prepare b", "discard a", "discard b"]);
  });

  it("commits nothing when the server stops while the last part is prepared", async () => {
    const parts = new Parts();
    const stop = new AbortController();
    const stopped: Part = (change, options) => {
      stop.abort(new Error("stops"));
      return parts.create("a")(change, options);
    };
    await assert.rejects(switchAll([stopped], CHANGE, { signal: stop.signal }), /stops/);
    assert.deepEqual(parts.calls, ["prepare a", "discard a"]);
  });
});
