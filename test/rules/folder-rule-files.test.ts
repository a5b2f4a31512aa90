import assert from "node:assert/strict";
import { renameSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { FolderRuleFiles } from "../../runtime/rules/folder-rule-files.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

/** Files of rules that log into arrays, and a wait for the next line of the log. */
function openFiles(): { files: FolderRuleFiles; lines: string[]; logged: () => Promise<string> } {
  const lines: string[] = [];
  const waiting: ((line: string) => void)[] = [];
  const write = (_fields: object, line: string): void => {
    lines.push(line);
    for (const resolve of waiting.splice(0)) resolve(line);
  };
  return {
    files: new FolderRuleFiles({ error: write, info: write }),
    lines,
    logged: () => new Promise((resolve) => waiting.push(resolve)),
  };
}

/** Replaces a file in one step. */
function replace(dir: string, name: string, text: string): void {
  writeFileSync(join(dir, "next"), text);
  renameSync(join(dir, "next"), join(dir, name));
}

async function openFolder(
  t: TestContext,
  redirects: string,
): Promise<ReturnType<typeof openFiles> & { dir: string }> {
  const dir = temporaryFolder(t);
  replace(dir, "_redirects", redirects);
  const opened = openFiles();
  (await opened.files.prepare([dir])).commit();
  return { ...opened, dir };
}

describe("FolderRuleFiles", { timeout: 30_000 }, () => {
  it("has the rules of each committed folder, and those of no other", async (t) => {
    const { files, dir } = await openFolder(t, "/a /b\n/c /d 301!\n");
    const rules = files.rulesOf(dir);
    assert.equal(rules.headers, null);
    assert.deepEqual(
      [rules.redirects?.forced.entries.length, rules.redirects?.unforced.entries.length],
      [1, 1],
    );
    const other = temporaryFolder(t);
    const prepared = await files.prepare([dir, other]);
    assert.throws(() => files.rulesOf(other), TypeError);
    prepared.commit();
    assert.deepEqual(files.rulesOf(other), { headers: null, redirects: null });
    assert.equal(files.rulesOf(dir), rules);
    (await files.prepare([other])).commit();
    assert.throws(() => files.rulesOf(dir), TypeError);
  });

  it("refuses a config with a mistake in a file, and keeps the present rules", async (t) => {
    const { files, dir } = await openFolder(t, "/a /b\n");
    const { redirects } = files.rulesOf(dir);
    replace(dir, "_redirects", "/a\n");
    await assert.rejects(files.prepare([dir]), { code: "ERR_CONFIG", message: /_redirects:1/ });
    assert.equal(files.rulesOf(dir).redirects, redirects);
  });

  it("reads changed files again, names a mistake once, and keeps the last good rules", async (t) => {
    const { files, dir, lines, logged } = await openFolder(t, "/a /b\n");
    const rules = files.rulesOf(dir);
    const refreshed = async (): Promise<string> => {
      const line = logged();
      files.refresh(dir);
      return line;
    };
    replace(dir, "_headers", "/*\n  X-A: 1\n");
    assert.match(await refreshed(), /read again/);
    assert.notEqual(rules.headers, null);
    replace(dir, "_redirects", "/a\n");
    assert.match(await refreshed(), /_redirects:1/);
    assert.equal(rules.redirects?.unforced.entries.length, 1);
    // A reload names the mistake again, a look at the unchanged file does not.
    files.refresh(dir);
    await assert.rejects(files.prepare([dir]), { code: "ERR_CONFIG" });
    replace(dir, "_redirects", "/a /b\n/c /d\n");
    assert.match(await refreshed(), /read again/);
    assert.equal(rules.redirects.unforced.entries.length, 2);
    unlinkSync(join(dir, "_redirects"));
    assert.match(await refreshed(), /read again/);
    assert.equal(rules.redirects, null);
    assert.equal(lines.length, 4);
  });

  it("sees a change between the reading and the commit", async (t) => {
    const { files, dir, logged } = await openFolder(t, "/a /b\n");
    const prepared = await files.prepare([dir]);
    replace(dir, "_redirects", "/a /b\n/c /d\n");
    const line = logged();
    prepared.commit();
    await line;
    assert.equal(files.rulesOf(dir).redirects?.unforced.entries.length, 2);
  });

  it("ignores a folder that no site has", async (t) => {
    const { files, lines } = openFiles();
    files.refresh(temporaryFolder(t));
    assert.deepEqual(lines, []);
  });
});
