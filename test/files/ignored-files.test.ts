import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs, {
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";

import { IGNORE_FILE, IgnoredFiles } from "../../runtime/files/ignored-files.ts";

class Fixture {
  readonly root: string;
  readonly path: string;
  readonly ignored: IgnoredFiles;
  readonly warnings: string[] = [];
  nowMs = 0;

  constructor(t: TestContext) {
    this.root = mkdtempSync(join(tmpdir(), "edgicorn-ignored-"));
    t.after(() => rmSync(this.root, { recursive: true }));
    this.path = join(this.root, IGNORE_FILE);
    this.ignored = new IgnoredFiles(this.root, {
      log: { warn: (_fields, message) => void this.warnings.push(message) },
      now: () => this.nowMs,
    });
  }

  /** Replaces the file in one step. */
  put(text: string): void {
    writeFileSync(`${this.path}.new`, text);
    renameSync(`${this.path}.new`, this.path);
  }

  /** The names from `a` to `c` that are ignored. */
  get names(): string {
    return ["a", "b", "c"].filter((name) => this.ignored.has(`/${name}`, false)).join("");
  }
}

describe("IgnoredFiles", () => {
  const unfit: [name: string, make: (path: string) => void, found: RegExp][] = [
    ["a folder", (path) => mkdirSync(path), /found a folder, expected a regular file/],
    ["a pipe", (path) => execFileSync("mkfifo", [path]), /found a pipe, .*expected a regular file/],
    [
      "an endless device",
      (path) => symlinkSync("/dev/zero", path),
      /found a pipe, socket or device/,
    ],
    [
      "a file of 2 GB",
      (path) => {
        writeFileSync(path, "b");
        truncateSync(path, 2e9);
      },
      /found 2000000000 bytes, expected at most 1 MiB/,
    ],
    [
      "a long line",
      (path) => writeFileSync(path, `#${"#".repeat(2000)}\nb\n${"*".repeat(1025)}\n`),
      /found line 3 with 1025 characters, expected at most 1024/,
    ],
    [
      "a link to itself",
      (path) => symlinkSync(path, path),
      /found ELOOP, expected a file that can/,
    ],
    [
      "a file without content to read",
      (path) => symlinkSync("/proc/self/mem", path),
      /found EIO, /,
    ],
  ];
  for (const [name, make, found] of unfit) {
    it(`ignores all files, and warns once, if it finds ${name}`, (t) => {
      const fixture = new Fixture(t);
      make(fixture.path);
      assert.equal(fixture.names, "abc");
      assert.equal(fixture.ignored.refresh(), false);
      assert.equal(fixture.ignored.hasSome, true);
      assert.match(fixture.warnings.join("\n"), found);
      assert.equal(fixture.warnings.length, 1);
      rmSync(fixture.path, { recursive: true });
      fixture.put("b");
      assert.equal(fixture.ignored.refresh(), true);
      fixture.nowMs += 2000;
      assert.equal(fixture.ignored.refresh(), true);
      assert.equal(fixture.names, "b");
      assert.equal(fixture.warnings.length, 1);
    });
  }

  it("reads no pipe that takes the place of the file between look and read", (t) => {
    const fixture = new Fixture(t);
    fixture.put("a");
    const { openSync } = fs;
    t.mock.method(fs, "openSync", (...args: Parameters<typeof openSync>) => {
      rmSync(fixture.path);
      execFileSync("mkfifo", [fixture.path]);
      return openSync(...args);
    });
    syncBuiltinESMExports();
    try {
      assert.equal(fixture.names, "abc");
    } finally {
      t.mock.restoreAll();
      syncBuiltinESMExports();
    }
    assert.match(fixture.warnings.join("\n"), /found a pipe, socket or device/);
  });

  it("keeps the former names while a change is young", (t) => {
    const fixture = new Fixture(t);
    fixture.put("a");
    assert.equal(fixture.names, "a");
    // A copy empties the file, and writes it in pieces.
    writeFileSync(fixture.path, "");
    assert.equal(fixture.ignored.refresh(), true);
    assert.equal(fixture.names, "a");
    fixture.nowMs += 1999;
    assert.equal(fixture.ignored.refresh(), false);
    writeFileSync(fixture.path, "b");
    assert.equal(fixture.ignored.refresh(), true);
    assert.equal(fixture.names, "ab");
    fixture.nowMs += 1999;
    writeFileSync(fixture.path, "b\nc");
    assert.equal(fixture.ignored.refresh(), true);
    assert.equal(fixture.names, "abc");
    fixture.nowMs += 1999;
    assert.equal(fixture.ignored.refresh(), false);
    fixture.nowMs += 1;
    assert.equal(fixture.ignored.refresh(), true);
    assert.equal(fixture.names, "bc");
    rmSync(fixture.path);
    assert.equal(fixture.ignored.refresh(), true);
    assert.equal(fixture.names, "bc");
    assert.equal(fixture.ignored.hasSome, true);
    fixture.nowMs += 2000;
    assert.equal(fixture.ignored.refresh(), true);
    assert.equal(fixture.names, "");
    assert.equal(fixture.ignored.hasSome, false);
  });

  it("reports no change if the text is the same", (t) => {
    const fixture = new Fixture(t);
    fixture.put("a");
    assert.equal(fixture.ignored.refresh(), false);
    utimesSync(fixture.path, 1, 1);
    assert.equal(fixture.ignored.refresh(), false);
    fixture.put("a");
    assert.equal(fixture.ignored.refresh(), false);
    assert.equal(fixture.names, "a");
  });

  it("reads again an unchanged file that could not be opened once", (t) => {
    const fixture = new Fixture(t);
    fixture.put("a");
    assert.equal(fixture.names, "a");
    fixture.put("a\nb");
    const error = Object.assign(new Error("too many open files"), { code: "EMFILE" });
    t.mock.method(fs, "openSync", () => {
      throw error;
    });
    syncBuiltinESMExports();
    try {
      assert.equal(fixture.ignored.refresh(), true);
      assert.equal(fixture.ignored.refresh(), false);
    } finally {
      t.mock.restoreAll();
      syncBuiltinESMExports();
    }
    assert.equal(fixture.names, "abc");
    assert.match(
      fixture.warnings.join("\n"),
      /found EMFILE, .*; no file of the folder is served until the server can read it$/,
    );
    assert.equal(fixture.ignored.refresh(), true);
    assert.equal(fixture.names, "ab");
    assert.equal(fixture.warnings.length, 1);
  });
});
