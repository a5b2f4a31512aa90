import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { CachedScript } from "../../runtime/lib/cached-script.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const ROOT = join(import.meta.dirname, "../..");
const run = promisify(execFile);

describe("scripts/build.mjs", { timeout: 600_000 }, () => {
  it("builds whole programs when several processes build, after one that was killed", async (t) => {
    const dir = temporaryFolder(t);
    for (const part of [
      "runtime",
      "scripts",
      "package.json",
      "package-lock.json",
      "tsconfig.json",
    ]) {
      cpSync(join(ROOT, part), join(dir, part), { recursive: true });
    }
    symlinkSync(join(ROOT, "node_modules"), join(dir, "node_modules"));
    mkdirSync(join(dir, "dist"));
    writeFileSync(join(dir, "dist/chunk-OLD.js"), "");
    // The folder that a killed build leaves. No process has a number that large.
    mkdirSync(join(dir, "dist.building"));
    writeFileSync(join(dir, "dist.building", `owner-${2 ** 30}`), "");
    writeFileSync(join(dir, "dist.building/chunk-HALF.js"), "");
    const script = join(dir, "scripts/build.mjs");
    const build = (): Promise<unknown> => run(process.execPath, [script, "--if-stale"]);
    await Promise.all([build(), build()]);
    const { stdout } = await run(process.execPath, [join(dir, "dist/main.js"), "--version"]);
    assert.match(stdout, /\d+\.\d+\.\d+/);
    const names = readdirSync(join(dir, "dist"));
    for (const name of ["api.js", "api.d.ts", "types.d.ts", "templates"]) {
      assert.ok(names.includes(name), name);
    }
    for (const part of ["server", "commands", "compiler"]) {
      const file = names.find((name) => name.startsWith(`${part}-`) && name.endsWith(".cjs"));
      assert.ok(file !== undefined, part);
      assert.ok(
        new CachedScript(join(dir, "dist", file)).isCached,
        `V8 accepts its code of ${file}`,
      );
    }
    assert.doesNotMatch(names.join(), /OLD|HALF|owner|record/);
    assert.equal(existsSync(join(dir, "dist.building")), false);
  });
});
