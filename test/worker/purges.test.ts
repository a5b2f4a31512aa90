import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Kind, type ToPrimary } from "../../runtime/channel/messages.ts";
import { Purges } from "../../runtime/worker/purges.ts";

function start() {
  const sent: ToPrimary[] = [];
  const purges = new Purges({
    send: (message) => {
      sent.push(message);
    },
  });
  return { purges, sent };
}

describe("Purges", () => {
  it("gives each purge its own answer, in any order", async () => {
    const { purges, sent } = start();
    const one = purges.purge(4, "tag:news");
    const two = purges.purge(-1, new URL("https://example.com/a b#c"));
    assert.deepEqual(sent, [
      [Kind.purge, 1, 4, "tag:news"],
      [Kind.purge, 2, -1, "https://example.com/a%20b#c"],
    ]);
    purges.settle([Kind.purged, 2, 7]);
    purges.settle([Kind.purged, 1, 0]);
    assert.deepEqual(await Promise.all([one, two]), [0, 7]);
  });

  it("rejects with the reason for a refusal", async () => {
    const { purges } = start();
    const refused = purges.purge(0, "news");
    purges.settle([Kind.purged, 1, 'Cannot purge: found "news"']);
    await assert.rejects(refused, new TypeError('Cannot purge: found "news"'));
  });

  it("sends no value that is no text, and none that is too long", async () => {
    const { purges, sent } = start();
    // Handlers in JavaScript pass anything.
    const wrong: unknown[] = [undefined, null, 7, ["all"], "x".repeat(64 * 1024 + 1)];
    for (const each of wrong) {
      await assert.rejects(purges.purge(0, each as string), { name: "TypeError" });
    }
    assert.deepEqual(sent, []);
  });

  it("ignores an answer that it does not wait for", () => {
    start().purges.settle([Kind.purged, 1, 0]);
  });
});
