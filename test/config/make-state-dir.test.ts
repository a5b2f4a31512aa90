import assert from "node:assert/strict";
import { mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { makeStateDir } from "../../runtime/config/make-state-dir.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

describe("makeStateDir()", () => {
  it("makes it and what is above it, and is content with what is there", (t) => {
    const dir = temporaryFolder(t);
    makeStateDir(join(dir, "a/b/c"));
    makeStateDir(join(dir, "a/b/c"));
    symlinkSync(join(dir, "a"), join(dir, "link"));
    makeStateDir(join(dir, "link/b/d"));
    assert.deepEqual(readdirSync(join(dir, "a/b")), ["c", "d"]);
    assert.ok(statSync(join(dir, "a/b/d")).isDirectory());
  });

  it("refuses in one line what cannot be one, and makes nothing then", (t) => {
    const dir = temporaryFolder(t);
    writeFileSync(join(dir, "file"), "");
    symlinkSync(join(dir, "gone"), join(dir, "link"));
    symlinkSync(join(dir, "loop"), join(dir, "loop"));
    const cases = {
      [join(dir, "file")]: /EEXIST/,
      [join(dir, "file/a/b")]: /ENOTDIR|EEXIST/,
      [join(dir, "link")]: /EEXIST/,
      [join(dir, "link/a")]: /EEXIST/,
      [join(dir, "loop/a")]: /ELOOP/,
      [join(dir, "x".repeat(300))]: /ENAMETOOLONG/,
      // Where Node's own recursion does not end.
      "/proc/edgicorn": /ENOENT|EACCES/,
      "/proc/edgicorn/a/b": /ENOENT|EACCES/,
    };
    for (const [path, reason] of Object.entries(cases)) {
      assert.throws(
        () => makeStateDir(path),
        (error: unknown) => {
          assert.ok(error instanceof Error && "code" in error && error.code === "ERR_CONFIG");
          assert.match(error.message, reason);
          assert.match(error.message, /^Cannot use the state folder \/[^\n]*\(--state-dir DIR\)$/);
          return true;
        },
      );
    }
    assert.deepEqual(readdirSync(dir).toSorted(), ["file", "link", "loop"]);
  });

  it("refuses one that cannot be written", { skip: process.getuid?.() === 0 }, (t) => {
    const dir = temporaryFolder(t);
    mkdirSync(join(dir, "state"), { mode: 0o500 });
    assert.throws(() => makeStateDir(join(dir, "state")), /EACCES/);
  });
});
