import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import type { RouteNumber } from "../../runtime/channel/messages.ts";
import { findCallers } from "../../runtime/worker/find-callers.ts";

const TWO_SITES: ReadonlyMap<string, RouteNumber> = new Map([
  ["a", 0],
  ["b", 1],
]);

/** Writes a generation whose `node_modules` has a link to a package named `bn.js`, which links back to itself. */
async function write(t: TestContext, compiled: string): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "edgicorn-callers-"));
  t.after(() => rm(dir, { recursive: true }));
  const generationDir = join(dir, "generation");
  const packageDir = join(dir, "bn.js");
  await mkdir(join(generationDir, "node_modules"), { recursive: true });
  await mkdir(join(generationDir, "chunks"));
  await mkdir(join(packageDir, "node_modules"), { recursive: true });
  await writeFile(join(packageDir, "index.js"), "module.exports = globalThis.caches;");
  await symlink(packageDir, join(generationDir, "node_modules", "bn.js"), "junction");
  await symlink(packageDir, join(packageDir, "node_modules", "bn.js"), "junction");
  await writeFile(join(generationDir, "chunks", "a.mjs"), compiled);
  return generationDir;
}

describe("findCallers", () => {
  it("reads no linked package", async (t) => {
    const generationDir = await write(t, "export default 1;");
    const callers = await findCallers(TWO_SITES, { generationDir, isUsed: false });
    assert.deepEqual(callers, { only: null, running: null });
  });

  it("finds a compiled file that names caches", async (t) => {
    const generationDir = await write(t, "export default () => caches.default;");
    const callers = await findCallers(TWO_SITES, { generationDir, isUsed: false });
    assert.notEqual(callers.running, null);
  });

  it("reads nothing for one site", async () => {
    const callers = await findCallers(new Map([["a", 3]]), {
      generationDir: "/nowhere",
      isUsed: false,
    });
    assert.deepEqual(callers, { only: 3, running: null });
  });
});
