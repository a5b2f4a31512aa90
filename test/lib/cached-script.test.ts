import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { pathToFileURL } from "node:url";
import { CachedScript, runScript } from "../../runtime/lib/cached-script.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const SOURCE = `
  "use strict";
  const { basename } = require("node:path");
  exports.name = () => basename(edgicornMeta.url);
  exports.load = (specifier) => edgicornImport(specifier);
  exports.fail = () => { throw new Error("failed"); };
`;

const cacheOf = (path: string): string => `${path}.cache`;

interface Exports {
  name: () => string;
  load: (specifier: string) => Promise<unknown>;
  fail: () => never;
}

function writeScript(t: TestContext, source = SOURCE): { path: string; url: string } {
  const dir = temporaryFolder(t);
  const path = join(dir, "script.cjs");
  writeFileSync(path, source);
  return { path, url: pathToFileURL(join(dir, "entry.js")).href };
}

/**
 * Writes the same script elsewhere, with V8's code of an earlier run: within a process, V8 remembers scripts by their
 * paths, and does not look at such code.
 */
function writeAgain(
  t: TestContext,
  change: (code: Buffer, header: Buffer) => Buffer,
): { path: string; url: string } {
  const first = writeScript(t);
  const script = new CachedScript(first.path);
  run(script, first.url).name();
  script.writeCache(first.path);
  const code = readFileSync(cacheOf(first.path)).subarray(Buffer.byteLength(`${first.path}\n`));
  const again = writeScript(t);
  writeFileSync(cacheOf(again.path), change(code, Buffer.from(`${again.path}\n`)));
  return again;
}

function run(script: CachedScript, url: string): Exports {
  const meta = { url, resolve: (specifier: string) => specifier };
  // The exports of `SOURCE`.
  return script.run({ meta, importModule: (specifier) => Promise.resolve(specifier) }) as Exports;
}

async function check({ name, load, fail }: Exports, path: string): Promise<void> {
  assert.equal(name(), "entry.js");
  assert.equal(await load("some-package"), "some-package");
  assert.throws(fail, (error: Error) => error.stack?.includes(`${path}:6:`) === true);
}

describe("CachedScript", () => {
  it("runs a script without a cache", async (t) => {
    const { path, url } = writeScript(t);
    const script = new CachedScript(path);
    assert.equal(script.isCached, false);
    await check(run(script, url), path);
  });

  it("runs a script with the code of an earlier run", (t) => {
    const { path, url } = writeAgain(t, (code, header) => Buffer.concat([header, code]));
    const script = new CachedScript(path);
    assert.equal(script.isCached, true);
    assert.equal(run(script, url).name(), "entry.js");
  });

  for (const [kind, change] of [
    ["is empty", () => Buffer.alloc(0)],
    ["was cut", (code, header) => Buffer.concat([header, code.subarray(0, code.length - 100)])],
    ["ends after the path", (_code, header) => header],
    [
      "is of another version of V8",
      (code, header) => {
        // After a magic number, a hash of the version.
        code.writeUInt32LE(code.readUInt32LE(4) ^ 1, 4);
        return Buffer.concat([header, code]);
      },
    ],
    ["is no code", (_code, header) => Buffer.concat([header, Buffer.from("text ".repeat(500))])],
    [
      "is of a script in another folder",
      (code) => Buffer.concat([Buffer.from("/a/b.cjs\n"), code]),
    ],
  ] satisfies [string, Parameters<typeof writeAgain>[1]][]) {
    it(`runs a script whose cache ${kind}`, async (t) => {
      const { path, url } = writeAgain(t, change);
      const script = new CachedScript(path);
      assert.equal(script.isCached, false);
      await check(run(script, url), path);
    });
  }
});

describe("runScript()", () => {
  it("runs the script beside the module that asks", (t) => {
    const { url } = writeScript(t, "exports.url = edgicornMeta.url;");
    const scope = { meta: { url, resolve: String }, importModule: () => Promise.resolve() };
    assert.deepEqual(runScript("script.cjs", scope), { url });
  });
});
