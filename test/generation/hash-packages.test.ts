import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { hashPackages } from "../../runtime/generation/hash-packages.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

describe("hashPackages()", () => {
  it("changes with what a package manager has written down, in the project or above", async (t) => {
    const dir = temporaryFolder(t);
    const sourceDir = join(dir, "site/handlers");
    mkdirSync(join(dir, "site/node_modules"), { recursive: true });
    mkdirSync(sourceDir);
    const seen = new Set([await hashPackages(sourceDir, [])]);
    writeFileSync(join(dir, "package-lock.json"), "1");
    seen.add(await hashPackages(sourceDir, []));
    writeFileSync(join(dir, "site/node_modules/.package-lock.json"), "2");
    seen.add(await hashPackages(sourceDir, []));
    assert.equal(seen.size, 3);
    // The nearest folder that has one counts.
    writeFileSync(join(dir, "package-lock.json"), "3");
    assert.ok(seen.has(await hashPackages(sourceDir, [])));
  });

  it("looks into packages that are links to somewhere else, and into no others", async (t) => {
    const dir = temporaryFolder(t);
    const linked = join(dir, "packages/ours/src");
    const installed = join(dir, "node_modules/theirs");
    for (const folder of [linked, installed]) mkdirSync(folder, { recursive: true });
    const hash = () => hashPackages(dir, [join(dir, "packages/ours"), installed]);
    const before = await hash();
    writeFileSync(join(installed, "index.js"), "1");
    assert.equal(await hash(), before);
    writeFileSync(join(linked, "index.js"), "1");
    assert.notEqual(await hash(), before);
  });
});
