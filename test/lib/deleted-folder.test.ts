import assert from "node:assert/strict";
import { mkdirSync, realpathSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { leaveDeletedFolder } from "../../runtime/lib/deleted-folder.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

describe("leaveDeletedFolder()", () => {
  it("goes to the nearest folder that exists, or into the one that took the place", (t) => {
    const before = process.cwd();
    t.after(() => process.chdir(before));
    assert.equal(leaveDeletedFolder(), null);
    const root = realpathSync(temporaryFolder(t));
    const folder = join(root, "a/b");
    mkdirSync(folder, { recursive: true });
    process.chdir(folder);
    assert.equal(process.cwd(), folder);
    rmSync(folder, { recursive: true });
    mkdirSync(folder);
    assert.match(leaveDeletedFolder() ?? "", /created again/);
    assert.equal(leaveDeletedFolder(), null);
    rmSync(join(root, "a"), { recursive: true });
    assert.match(leaveDeletedFolder() ?? "", new RegExp(`new workers start in ${root},`));
    assert.equal(process.cwd(), root);
  });
});
