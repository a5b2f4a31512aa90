import assert from "node:assert/strict";
import fs from "node:fs";
import { rm } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";

import { lookup, lookupFile, PublicFolder, readBody } from "./public-folder.ts";

/** As when the system's watches are used up. */
function refuseWatches(t: TestContext): void {
  t.mock.method(fs, "watch", () => {
    throw Object.assign(new Error("ENOSPC: System limit for number of file watchers reached"), {
      code: "ENOSPC",
    });
  });
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
}

describe("FileIndex > without watches", { timeout: 60_000 }, () => {
  it("warns once and serves", async (t) => {
    refuseWatches(t);
    const folder = new PublicFolder(t);
    await folder.write({ "a.txt": "A", "sub/b.txt": "B" });
    const index = await folder.open();
    assert.equal(await readBody(index, lookupFile(index, "/sub/b.txt")), "B");
    assert.equal(folder.warnings.length, 1);
    assert.match(folder.warnings[0] ?? "", /Cannot watch every folder/);
  });

  it("still notices what comes and goes", async (t) => {
    refuseWatches(t);
    const folder = new PublicFolder(t);
    await folder.write({ "old/a.txt": "A", "b.txt": "B" });
    const index = await folder.open();
    await folder.write({ "new.txt": "N", "deep/er/c.txt": "C" });
    await rm(join(folder.root, "old"), { recursive: true });
    await folder.until(() => lookup(index, "/new.txt") !== undefined);
    await folder.until(() => lookup(index, "/deep/er/c.txt") !== undefined);
    await folder.until(() => lookup(index, "/old/a.txt") === undefined);
    assert.equal(index.stats.files, 3);
  });
});
