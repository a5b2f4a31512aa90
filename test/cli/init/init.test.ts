import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { initProject } from "../../../runtime/cli/init/init.ts";
import { temporaryFolder } from "../../helpers/temporary-folder.ts";

function listFiles(dir: string): string[] {
  const names = readdirSync(dir, { recursive: true, encoding: "utf8" });
  return names.toSorted((a, b) => a.localeCompare(b));
}

describe("initProject()", () => {
  it("makes one project when it runs three times at once", async (t) => {
    const [alone, shared] = [temporaryFolder(t), temporaryFolder(t)];
    await initProject({ dir: alone, template: "react" });
    // All three make their plan before the first one writes.
    const reports = await Promise.all(
      [1, 2, 3].map(() => initProject({ dir: shared, template: "react" })),
    );
    assert.deepEqual(listFiles(shared), listFiles(alone));
    for (const name of ["tsconfig.json", ".gitignore", "edgicorn.config.ts"]) {
      assert.equal(
        readFileSync(join(shared, name), "utf8"),
        readFileSync(join(alone, name), "utf8"),
      );
    }
    for (const name of [".gitignore", "edgicorn-env.d.ts"]) {
      const words = reports.map((report) => new RegExp(`^(\\w+) +${name}$`, "m").exec(report)?.[1]);
      assert.equal(words.filter((word) => word === "created").length, 1, name);
      assert.equal(words.filter((word) => word === "kept").length, 2, name);
    }
  });

  it("changes package.json in place, and keeps its mode", async (t) => {
    const dir = temporaryFolder(t);
    const path = join(dir, "package.json");
    writeFileSync(path, '\uFEFF{ "name": "a" }\n', { mode: 0o600 });
    const { ino } = statSync(path);
    await initProject({ dir, template: null });
    assert.deepEqual([statSync(path).ino, statSync(path).mode & 0o777], [ino, 0o600]);
    const text = readFileSync(path, "utf8").replace(/^\uFEFF/, "");
    assert.match(text, /"dev": "edgicorn dev"/);
    assert.ok(JSON.parse(text));
  });

  it("says nothing of fromNode to a project without a framework for it", async (t) => {
    const report = await initProject({ dir: temporaryFolder(t), template: null });
    assert.doesNotMatch(report, /fromNode/);
  });
});
