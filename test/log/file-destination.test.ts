import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { open as openFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { MAX_WAITING_BYTES } from "../../runtime/log/destination.ts";
import { FileDestination } from "../../runtime/log/file-destination.ts";
import { compileProgram } from "../helpers/compile-program.ts";
import { eventually } from "../helpers/eventually.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

/** Size of libuv's thread pool, unless its variable says otherwise. */
const POOL_THREADS = Number(process.env["UV_THREADPOOL_SIZE"] ?? 4);

function contentOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function open(t: TestContext, path: string): { destination: FileDestination; problems: string[] } {
  const problems: string[] = [];
  const destination = new FileDestination(path, (problem) => void problems.push(problem));
  t.after(() => destination.close());
  return { destination, problems };
}

/** Closes a destination. While the thread pool is busy for more than a second, the last lines are written after that. */
async function closeWhole(
  t: TestContext,
  { destination, path, expected }: { destination: FileDestination; path: string; expected: string },
): Promise<void> {
  await destination.close();
  await eventually(t, () => contentOf(path).length >= expected.length);
  assert.equal(contentOf(path), expected);
}

describe("FileDestination", { timeout: 180_000 }, () => {
  it("writes all lines in order, and the last ones when it is closed", async (t) => {
    const path = join(temporaryFolder(t), "log");
    const { destination, problems } = open(t, path);
    const lines = Array.from({ length: 5_000 }, (_, index) => `line ${index} é\n`);
    for (const line of lines.slice(0, 2_500)) destination.write(line);
    await eventually(t, () => contentOf(path) !== "");
    for (const line of lines.slice(2_500)) destination.write(line);
    await closeWhole(t, { destination, path, expected: lines.join("") });
    destination.write("after the end\n");
    assert.equal(destination.droppedLines, 1);
    assert.deepEqual(problems, []);
  });

  it("copies the bytes that it keeps: batches of any size, while others wait, and text between them", async (t) => {
    const path = join(temporaryFolder(t), "log");
    const { destination } = open(t, path);
    const memory = Buffer.alloc(80_000);
    let expected = "";
    for (let count = 0; count < 60; count++) {
      // Sizes below and above that of memory which is used again.
      const line = `${String(count).repeat([10, 3000, 30_000, 37_000][count % 4] ?? 1)}\n`;
      const lines = memory.subarray(0, memory.write(line, "latin1"));
      destination.write(count % 7 === 3 ? line : lines);
      memory.fill("?");
      expected += line;
      if (count % 5 === 0) await eventually(t, () => contentOf(path) === expected);
    }
    await closeWhole(t, { destination, path, expected });
    assert.equal(destination.droppedLines, 0);
  });

  it("writes lines from before the close once the thread pool goes on", async (t) => {
    const dir = temporaryFolder(t);
    const [path, fifo] = [join(dir, "log"), join(dir, "fifo")];
    const { destination } = open(t, path);
    execFileSync("mkfifo", [fifo]);
    // Each waits for a writer, and takes a thread.
    const held = Array.from({ length: POOL_THREADS }, () => openFile(fifo, "r"));
    destination.write("one\n");
    destination.write("two\n");
    await destination.close();
    assert.equal(contentOf(path), "");
    // Stays open until all threads have it: a thread may begin to wait later.
    const writer = openSync(fifo, "r+");
    for (const file of await Promise.all(held)) await file.close();
    closeSync(writer);
    await eventually(t, () => contentOf(path) === "one\ntwo\n");
    assert.equal(destination.droppedLines, 0);
  });

  it("follows a rotation without a signal", async (t) => {
    const path = join(temporaryFolder(t), "log");
    const { destination } = open(t, path);
    let count = 0;
    destination.write(`${count++}\n`);
    await eventually(t, () => contentOf(path) !== "");
    renameSync(path, `${path}.1`);
    // No file is there: lines go on to the open file.
    destination.write(`${count++}\n`);
    await eventually(t, () => contentOf(`${path}.1`) === "0\n1\n");
    assert.equal(contentOf(path), "");
    writeFileSync(path, "");
    await eventually(t, () => {
      destination.write(`${count++}\n`);
      return contentOf(path) !== "";
    });
    const expected = Array.from({ length: count }, (_, number) => `${number}\n`).join("");
    const before = contentOf(`${path}.1`);
    assert.ok(expected.startsWith(before), before);
    await closeWhole(t, { destination, path, expected: expected.slice(before.length) });
  });

  it("keeps the open file, and reports it once, when the path cannot be opened again", async (t) => {
    const dir = join(temporaryFolder(t), "logs");
    const path = join(dir, "log");
    mkdirSync(dir);
    const { destination, problems } = open(t, path);
    renameSync(dir, `${dir}.old`);
    destination.reopen();
    destination.reopen();
    destination.write("one\n");
    await eventually(t, () => contentOf(join(`${dir}.old`, "log")) === "one\n");
    assert.equal(problems.length, 1);
    assert.match(problems[0] ?? "", /^Cannot open the log .*ENOENT/);
    mkdirSync(dir);
    destination.reopen();
    destination.write("two\n");
    await closeWhole(t, { destination, path, expected: "two\n" });
    assert.equal(destination.droppedLines, 0);
  });

  it("keeps lines until the path can be opened, and counts the lines that it dropped", async (t) => {
    const dir = join(temporaryFolder(t), "logs");
    const path = join(dir, "log");
    const { destination, problems } = open(t, path);
    const told: number[] = [];
    destination.onLost = (lines) => void told.push(lines);
    const line = `${"x".repeat(1023)}\n`;
    const room = MAX_WAITING_BYTES / line.length;
    for (let index = 0; index < room + 7; index++) destination.write(line);
    assert.equal(destination.droppedLines, 7);
    assert.equal(problems.length, 1);
    mkdirSync(dir);
    destination.reopen();
    await eventually(t, () => told.length > 0);
    assert.deepEqual(told, [7]);
    assert.equal(contentOf(path), line.repeat(room));
  });

  it("reports once that the disk is full, and still ends", async (t) => {
    const { destination, problems } = open(t, "/dev/full");
    destination.write("one\n");
    await eventually(t, () => problems.length > 0);
    destination.write("two\n");
    destination.reopen();
    destination.write("three\n");
    await destination.close();
    await eventually(t, () => problems.length > 1);
    assert.match(problems[0] ?? "", /^Cannot write the log \/dev\/full: ENOSPC/);
    assert.match(problems.at(-1) ?? "", /3 lines are lost$/);
    assert.equal(destination.droppedLines, 3);
  });

  it("writes each line once when the listener of problems opens another file, and the loop is late", async (t) => {
    const dir = temporaryFolder(t);
    const [path, next] = [join(dir, "log"), join(dir, "next")];
    symlinkSync("/dev/full", path);
    const destination = new FileDestination(path, () => {
      symlinkSync("next", join(dir, "link"));
      renameSync(join(dir, "link"), path);
      destination.reopen();
      void destination.close();
      // Longer than `close` waits for a write before it looks again: its timer is due before the end of the write is seen.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    });
    destination.write("one\n");
    await eventually(t, () => contentOf(next) !== "");
    await closeWhole(t, { destination, path: next, expected: "one\n" });
    assert.equal(destination.droppedLines, 0);
  });

  for (const ending of ["process.exit(0);", "setImmediate(() => { throw new Error('bug'); });"]) {
    it(`writes the waiting lines at the end: ${ending}`, (t) => {
      const path = join(temporaryFolder(t), "log");
      const text = `
        import { FileDestination } from "./runtime/log/file-destination.ts";
        const destination = new FileDestination(${JSON.stringify(path)});
        for (let index = 0; index < 999; index++) destination.write("line\\n");
        ${ending}`;
      spawnSync(process.execPath, [compileProgram(t, { text })]);
      assert.equal(contentOf(path), "line\n".repeat(999));
    });
  }

  it("writes the whole line to the next file when the disk took half of it", (t) => {
    const dir = temporaryFolder(t);
    const path = join(dir, "log");
    // A limit on the size of files stands for a full disk: the write is cut short, and the next one fails.
    const text = `
      import { renameSync } from "node:fs";
      import { FileDestination } from "./runtime/log/file-destination.ts";
      const path = ${JSON.stringify(path)};
      const destination = new FileDestination(path, () => {
        renameSync(path, path + ".1");
        destination.reopen();
        void destination.close();
      });
      for (let index = 1000; index < 1700; index++) destination.write("line " + index + "\\n");`;
    const shell = `trap '' XFSZ; ulimit -f 8; exec "$0" "$1"`;
    execFileSync("sh", ["-c", shell, process.execPath, compileProgram(t, { text })]);
    const [before, after] = [contentOf(`${path}.1`), contentOf(path)];
    assert.equal(before.length, 4096);
    const whole = before.slice(0, before.lastIndexOf("\n") + 1);
    assert.notEqual(before, whole);
    const expected = Array.from({ length: 700 }, (_, index) => `line ${1000 + index}\n`).join("");
    assert.equal(whole + after, expected);
    rmSync(path);
  });
});
