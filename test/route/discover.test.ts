import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import type { TestContext } from "node:test";

import { discoverRoutes } from "../../runtime/route/discover.ts";

async function createFolder(t: TestContext, files: string[]): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "edgicorn-discover-"));
  t.after(() => rm(dir, { recursive: true, force: true }));
  for (const file of files) {
    await mkdir(dirname(join(dir, file)), { recursive: true });
    await writeFile(join(dir, file), "");
  }
  return dir;
}

async function patternsOf(dir: string): Promise<string[]> {
  return (await discoverRoutes(dir)).routes.map(({ pattern }) => pattern);
}

function refusal(message: RegExp): { code: string; message: RegExp } {
  return { code: "ERR_HANDLER_LOAD", message };
}

describe("discoverRoutes()", () => {
  it("walks folders", async (t) => {
    const dir = await createFolder(t, [
      "index.ts",
      "a/b/[id].ts",
      "(g)/x.ts",
      "_lib/y.ts",
      "z.txt",
    ]);
    assert.deepEqual(await patternsOf(dir), ["/", "/a/b/:id", "/x"]);
  });

  it("takes an empty folder", async (t) => {
    const dir = await createFolder(t, []);
    assert.deepEqual(await discoverRoutes(dir), {
      modules: [],
      routes: [],
      fallbacks: [],
      guards: [],
      apps: [],
      problems: [],
      warnings: [],
      folders: [dir],
      read: [],
    });
  });

  it("takes Python files that have an application, and warns of the others", async (t) => {
    const files = ["a.ts", "legacy/[...path].py", "b.py", "_404.py", "_lib.py", "test_b.py"];
    const dir = await createFolder(t, files);
    await writeFile(join(dir, "legacy/[...path].py"), "app = 1");
    const { warnings, apps, read } = await discoverRoutes(dir);
    assert.deepEqual(
      apps.map(({ pattern }) => pattern),
      ["/legacy/**:path"],
    );
    assert.equal(warnings.length, 2);
    assert.match(
      warnings[0] ?? "",
      /_404\.py answers nothing: expected a TypeScript or JavaScript/,
    );
    assert.match(
      warnings[1] ?? "",
      /b\.py answers nothing: expected "application" or "app" at its/,
    );
    // The text of a file decides whether it is a route, so a later start must look at it again.
    assert.deepEqual(read, [join(dir, "b.py"), join(dir, "legacy/[...path].py")]);
  });

  it("follows links to files and folders", async (t) => {
    const elsewhere = await createFolder(t, ["api/x.ts", "one.ts"]);
    const dir = await createFolder(t, []);
    await symlink(join(elsewhere, "api"), join(dir, "linked"));
    await symlink(join(elsewhere, "one.ts"), join(dir, "two.ts"));
    assert.deepEqual(await patternsOf(dir), ["/linked/x", "/two"]);
  });

  it("ignores links to nowhere under names with a dot, which editors make", async (t) => {
    const dir = await createFolder(t, ["a.ts"]);
    await symlink("nowhere", join(dir, ".#a.ts"));
    assert.deepEqual(await patternsOf(dir), ["/a"]);
  });

  it("says which link leads nowhere", async (t) => {
    const dir = await createFolder(t, []);
    await symlink("nowhere", join(dir, "a.ts"));
    await assert.rejects(discoverRoutes(dir), refusal(/^Cannot read .*\/a\.ts: nothing is there/));
  });

  it("says which link leads in a circle", async (t) => {
    const dir = await createFolder(t, ["a/b.ts"]);
    await symlink(dir, join(dir, "a", "back"));
    await assert.rejects(
      discoverRoutes(dir),
      refusal(/^Cannot read .*\/a\/back: a link to a folder/),
    );
  });

  it("says that the folder is missing", async (t) => {
    const dir = join(await createFolder(t, []), "nope");
    await assert.rejects(
      discoverRoutes(dir),
      refusal(/^Cannot read .*\/nope: nothing is there, expected a folder with handlers$/),
    );
  });

  it("says that the folder is a file", async (t) => {
    const dir = join(await createFolder(t, ["a.ts"]), "a.ts");
    await assert.rejects(discoverRoutes(dir), refusal(/^Cannot read .*\/a\.ts: it is a file/));
  });

  it("says which folder it may not read", { skip: process.getuid?.() === 0 }, async (t) => {
    const dir = await createFolder(t, ["closed/a.ts"]);
    await chmod(join(dir, "closed"), 0);
    t.after(() => chmod(join(dir, "closed"), 0o755));
    await assert.rejects(discoverRoutes(dir), refusal(/^Cannot read .*\/closed: no permission/));
  });

  it("reports every name and conflict, one line each", async (t) => {
    const dir = await createFolder(t, ["a.ts", "a.js", "[.ts", "ok.ts"]);
    await assert.rejects(
      discoverRoutes(dir),
      refusal(/^Cannot use .*\[\.ts: .*\nCannot use .*a\.js and .*a\.ts: .*$/),
    );
  });
});
