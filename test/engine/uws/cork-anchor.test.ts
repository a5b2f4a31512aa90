import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CorkAnchor } from "../../../runtime/engine/uws/cork-anchor.ts";
import { loadUws } from "../../../runtime/engine/uws/uws.ts";
import { eventually } from "../../helpers/eventually.ts";
import { testedLibrary } from "../../helpers/library.ts";

const { uws } = await loadUws({ headerLimitBytes: 16_384, choice: testedLibrary() });

describe("CorkAnchor", () => {
  it(
    "runs callbacks at once while it is open, and not otherwise",
    { timeout: 60_000 },
    async (t) => {
      const anchor = new CorkAnchor(uws);
      let calls = 0;
      const run = (): boolean => anchor.run(() => void calls++);
      t.after(() => anchor.close());
      assert.equal(run(), false);
      anchor.prepare();
      anchor.prepare();
      assert.equal(run(), false);
      await eventually(t, run);
      assert.equal(calls, 1);
      assert.equal(run(), true);
      assert.equal(calls, 2);
      anchor.close();
      anchor.close();
      assert.equal(run(), false);
      anchor.prepare();
      await eventually(t, run);
      assert.equal(calls, 3);
    },
  );
});
