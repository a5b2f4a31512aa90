import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  constants,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, it, type TestContext } from "node:test";
import { assertOpens, openLogPath } from "../../runtime/log/open-destination.ts";
import { compileProgram } from "../helpers/compile-program.ts";
import { eventually } from "../helpers/eventually.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

/** Runs a program that has `destination` (descriptor 2) and `log` (an access log), with standard error at `target`. */
function run(t: TestContext, program: string, target: number | "pipe"): ChildProcess {
  const code = `
    import { openStderr } from "./runtime/log/open-destination.ts";
    import { createAccessLog } from "./runtime/log/access-log.ts";
    const destination = openStderr();
    const log = createAccessLog(destination, { pretty: false, color: false });
    const rules = { withQuery: false, withClient: false, redactQuery: (query) => query };
    const write = log.lines({ rules, requestIdPrefix: "a-" });
    const head = { clientAddress: "::1", origin: "http:", method: "GET", target: "/", fields: null };
    const line = (bytes) =>
      write(
        { id: 1, head, receivedMs: 0, workerId: 0, limitedBy: null },
        { status: 200, bytes, nowMs: 1, timeMs: 0 },
      );
    ${program}`;
  const child = spawn(process.execPath, [compileProgram(t, { text: code })], {
    stdio: ["ignore", "pipe", target],
  });
  t.after(() => child.kill("SIGKILL"));
  return child;
}

function makePipe(dir: string): string {
  const path = join(dir, "pipe");
  execFileSync("mkfifo", [path]);
  return path;
}

function numbersIn(log: string): number[] {
  assert.ok(log.endsWith("\n"));
  return log
    .trimEnd()
    .split("\n")
    .map((line) => {
      const parsed: unknown = JSON.parse(line);
      assert.ok(typeof parsed === "object" && parsed !== null && "bytes" in parsed);
      return Number(parsed.bytes);
    });
}

const MANY = 15_000;
const WRITE_MANY = `for (let index = 0; index < ${MANY}; index++) line(index);`;
const many = Array.from({ length: MANY }, (_, index) => index);

describe("openStderr()", { timeout: 600_000 }, () => {
  it("writes the last lines to a file although the thread pool is busy", async (t) => {
    const path = join(temporaryFolder(t), "log");
    const fd = openSync(path, "a");
    const child = run(
      t,
      `import { pbkdf2 } from "node:crypto";
      process.prependListener("exit", () => {
        for (let job = 0; job < 8; job++) pbkdf2("a", "b", 200_000, 64, "sha512", () => {});
      });
      line(1);`,
      fd,
    );
    await once(child, "close");
    closeSync(fd);
    assert.deepEqual(numbersIn(readFileSync(path, "utf8")), [1]);
  });

  for (const [title, ending] of [
    ["ends by itself", ""],
    ["calls process.exit()", "process.exit(0);"],
    ["throws", "setImmediate(() => { throw 'a string'; });"],
  ] as const) {
    it(`writes all lines, in order, to a file when the process ${title}`, async (t) => {
      const path = join(temporaryFolder(t), "log");
      const fd = openSync(path, "a");
      const child = run(t, WRITE_MANY + ending, fd);
      await once(child, "close");
      closeSync(fd);
      const log = readFileSync(path, "utf8");
      const lines = log.split("\n").filter((line) => line.startsWith('{"level"'));
      assert.deepEqual(numbersIn(`${lines.join("\n")}\n`), many);
    });

    it(`writes all lines, in order, to a pipe when the process ${title}`, async (t) => {
      const pipe = makePipe(temporaryFolder(t));
      const cat = spawn("cat", [pipe], { stdio: ["ignore", "pipe", "ignore"] });
      const fd = openSync(pipe, "w");
      const child = run(t, WRITE_MANY + ending, fd);
      closeSync(fd);
      // Both from now on: either may come first.
      const [log] = await Promise.all([text(cat.stdout), once(child, "close")]);
      const lines = log.split("\n").filter((line) => line.startsWith('{"level"'));
      assert.deepEqual(numbersIn(`${lines.join("\n")}\n`), many);
    });
  }

  it("neither waits for a stuck reader nor grows without bound, and still ends", async (t) => {
    const pipe = makePipe(temporaryFolder(t));
    // Open for reading too, so that the other side can open it; but nothing reads it.
    const fd = openSync(pipe, "r+");
    t.after(() => closeSync(fd));
    const child = run(
      t,
      `for (let index = 0; index < 60_000; index++) line(index);
       console.log(destination.droppedLines);
       setTimeout(() => process.exit(0), 20);`,
      fd,
    );
    const { stdout } = child;
    assert.ok(stdout !== null);
    const [output] = await Promise.all([text(stdout), once(child, "close")]);
    assert.ok(Number(output) > 20_000, output);
    assert.equal(child.exitCode, 0);
  });

  it("goes on when the reader comes back", async (t) => {
    const pipe = makePipe(temporaryFolder(t));
    const fd = openSync(pipe, "r+");
    const child = run(t, `${WRITE_MANY} log.flush(); console.log("written");`, fd);
    assert.ok(child.stdout !== null);
    await once(child.stdout, "data");
    const cat = spawn("cat", [pipe], { stdio: ["ignore", "pipe", "ignore"] });
    const reading = text(cat.stdout);
    await once(child, "close");
    // The last writer: cat sees the end.
    closeSync(fd);
    assert.deepEqual(numbersIn(await reading), many);
  });

  it("survives a reader that went away", async (t) => {
    const program = compileProgram(t, {
      text: `import { openStderr } from "./runtime/log/open-destination.ts";
         const destination = openStderr();
         process.stdin.once("data", () => {
           for (let index = 0; index < 10; index++) destination.write("lost\\n");
           setTimeout(() => { destination.write("lost\\n"); console.log("alive"); process.exit(0); }, 50);
         });
         console.log("ready");`,
    });
    const child = spawn(process.execPath, [program], { stdio: ["pipe", "pipe", "pipe"] });
    t.after(() => child.kill("SIGKILL"));
    await once(child.stdout, "data");
    child.stderr.destroy();
    const output = text(child.stdout);
    child.stdin.write("go");
    await once(child, "close");
    assert.equal(child.exitCode, 0);
    assert.equal(await output, "alive\n");
  });

  it("ends when the reader at the other end of its socket is stuck", async (t) => {
    // A parent that is Node gives a socket. Nothing reads it here.
    const child = run(
      t,
      `for (let index = 0; index < 60_000; index++) line(index);
       console.log(destination.droppedLines);
       setTimeout(() => process.exit(0), 20);`,
      "pipe",
    );
    assert.ok(child.stdout !== null && child.stderr !== null);
    // Without a pause the stream would read ahead.
    child.stderr.pause();
    const output = text(child.stdout);
    await once(child, "exit");
    assert.equal(child.exitCode, 0);
    assert.ok(Number(await output) > 20_000);
  });

  it("ends when its disk is full", async (t) => {
    const fd = openSync("/dev/full", "w");
    t.after(() => closeSync(fd));
    const child = run(t, "line(1); log.flush(); setTimeout(() => process.exit(0), 20);", fd);
    await once(child, "exit");
    assert.equal(child.exitCode, 0);
  });
});

describe("openLogPath()", { timeout: 180_000 }, () => {
  it("opens a file again after it was renamed", async (t) => {
    const dir = temporaryFolder(t);
    const path = join(dir, "log");
    const destination = openLogPath(path, { report: assert.fail });
    destination.write("one\n");
    await untilContent(path, "one\n");
    renameSync(path, `${path}.1`);
    destination.reopen();
    destination.write("two\n");
    await untilContent(path, "two\n");
    await destination.close();
    await destination.close();
    assert.equal(readFileSync(`${path}.1`, "utf8"), "one\n");
    assert.equal(readFileSync(path, "utf8"), "two\n");
  });

  it("writes to a named pipe without waiting for its reader", async (t) => {
    const pipe = makePipe(temporaryFolder(t));
    const cat = spawn("cat", [pipe], { stdio: ["ignore", "pipe", "ignore"] });
    // It can be opened without waiting once the reader has it. The reader goes on until the test closes it.
    const fd = await openOnceRead(t, pipe);
    const destination = openLogPath(pipe, { report: assert.fail });
    const line = "x".repeat(99).concat("\n");
    const lines = Buffer.from(line.repeat(2_000));
    const reading = text(cat.stdout);
    destination.write(lines);
    // The memory belongs to the caller.
    lines.fill("?");
    await destination.close();
    closeSync(fd);
    const read = await reading;
    assert.equal(read, line.repeat(read.length / line.length));
    assert.equal(read.length + destination.droppedLines * line.length, lines.length);
  });
});

describe("assertOpens()", () => {
  it("creates the file, for its owner and group", (t) => {
    const path = join(temporaryFolder(t), "log");
    assertOpens(path);
    assert.equal(statSync(path).mode & 0o777 & ~0o640, 0);
    assert.equal(readFileSync(path, "utf8"), "");
  });

  it("refuses a file that cannot be opened, and a pipe without a reader", (t) => {
    const dir = temporaryFolder(t);
    writeFileSync(join(dir, "file"), "");
    assert.throws(() => assertOpens(join(dir, "file", "log")), { code: "ENOTDIR" });
    assert.throws(() => assertOpens(makePipe(dir)), { code: "ENXIO" });
  });
});

/** Opens a pipe for writing, once another process has it open for reading. */
async function openOnceRead(t: TestContext, path: string): Promise<number> {
  let fd: number | null = null;
  await eventually(t, () => {
    try {
      fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENXIO")) throw error;
    }
    return fd !== null;
  });
  return fd ?? assert.fail("opened");
}

async function untilContent(path: string, content: string): Promise<void> {
  for (;;) {
    try {
      if (readFileSync(path, "utf8") === content) return;
    } catch {
      // Not there yet.
    }
    await new Promise((settle) => setImmediate(settle));
  }
}
