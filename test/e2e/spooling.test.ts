import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import {
  type Stats,
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { STREAMING_HANDLERS } from "../fixtures/streaming-handlers.ts";
import { eventually } from "../helpers/eventually.ts";
import { openFilesOf } from "../helpers/proc.ts";
import { fieldOf, type RawConnection } from "../helpers/raw-connection.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

const HANDLERS = {
  ...STREAMING_HANDLERS,

  // Logs when it gets its request, and answers with the digest of the body.
  "digest.ts": `
    import { createHash } from "node:crypto";
    export const config = { overflow: "spool" };
    export default async (request, { log }) => {
      log.info("digest began");
      const hash = createHash("sha256");
      for await (const chunk of request.body ?? []) hash.update(chunk);
      return new Response(hash.digest("hex"));
    };`,
  "spooled-echo.ts": `
    export const config = { overflow: "spool", responseOverflow: "spool" };
    export { default } from "./echo.ts";`,
  // Never reads its body, and does not answer either.
  "spooled-hang.ts": `
    export const config = { overflow: "spool" };
    export default (request, { log }) => { log.info("hang began"); return new Promise(() => {}); };`,
  // The content of the file that the query names.
  "download.ts": `
    import { openSync, readSync } from "node:fs";
    export const config = { responseOverflow: "spool" };
    export default (request, { log }) => {
      const file = openSync(new URL(request.url).searchParams.get("file"), "r");
      return new Response(new ReadableStream({
        pull(controller) {
          const chunk = new Uint8Array(65536);
          const size = readSync(file, chunk);
          if (size > 0) return controller.enqueue(chunk.subarray(0, size));
          controller.close();
          log.info("download produced");
        },
        cancel() { log.info("download cancelled"); },
      }));
    };`,
} as const;

function start(t: TestContext, flags: readonly string[] = []): Promise<TestServer> {
  const all = ["--body-limit", "100mb", ...flags];
  return startServer(t, { handlers: HANDLERS, workers: 1, flags: all });
}

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Spool files that the primary has open. */
function spoolFiles(server: TestServer): string[] {
  return openFilesOf(server.pid).filter((path) => path.includes("/spool/"));
}

function head(path: string, bytes: number): string {
  return `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${bytes}\r\n\r\n`;
}

/** Facts of spool files, through their descriptors: they have no other name. */
function statsOfSpoolFiles({ pid }: TestServer): Stats[] {
  const dir = `/proc/${pid}/fd`;
  return readdirSync(dir).flatMap((name) => {
    try {
      const isSpooled = readlinkSync(`${dir}/${name}`).includes("/spool/");
      return isSpooled ? [statSync(`${dir}/${name}`)] : [];
    } catch {
      // Closed since the folder was read.
      return [];
    }
  });
}

function hasLogged(server: TestServer, message: string): boolean {
  return server.logs.some(({ msg }) => msg === message);
}

/** Takes what comes, no matter when. */
async function readAll(connection: RawConnection): Promise<Buffer> {
  connection.socket.resume();
  return (await connection.response()).body;
}

describe("a request body that is spooled", { timeout: 600_000 }, () => {
  it("reaches a worker once it is complete, however slowly it comes", async (t) => {
    const server = await start(t);
    const body = randomBytes(20 * MIB);
    const slow = await server.connect();
    slow.send(head("/digest", body.length));
    await slow.sent(body.subarray(0, body.length - 1));
    await eventually(t, () => spoolFiles(server).length === 1);
    assert.equal(await (await server.fetch("/")).text(), "hello");
    assert.equal(hasLogged(server, "digest began"), false);
    slow.send(body.subarray(-1));
    assert.equal(String((await slow.response()).body), digest(body));
    await eventually(t, () => spoolFiles(server).length === 0);
  });

  it("is a file without a name, for nobody else to read, in a folder of that kind", async (t) => {
    const server = await startServer(t, { handlers: HANDLERS, workers: 1 });
    // One byte more than a handler gets from memory. Above that, a second file may exist for a moment, with a name: a
    // blocking write does not wait for the file that the thread pool makes.
    const bytes = 64 * KIB + 1;
    const slow = await server.connect();
    slow.send(head("/digest", MIB));
    slow.send(Buffer.alloc(bytes));
    await eventually(t, () => statsOfSpoolFiles(server)[0]?.size === bytes);
    const dir = join(server.dir, ".edgicorn/spool");
    assert.deepEqual(readdirSync(dir), []);
    assert.equal(statSync(dir).mode & 0o777, 0o700);
    const modes = statsOfSpoolFiles(server).map(({ mode }) => mode & 0o777);
    assert.deepEqual(modes, [0o600]);
    server.kill("SIGKILL");
    await server.exit;
    assert.deepEqual(readdirSync(dir), []);
  });

  it("leaves nothing when its client leaves, at whatever point", async (t) => {
    const server = await start(t);
    const sending = await server.connect();
    sending.send(head("/digest", MIB));
    sending.send(Buffer.alloc(MIB - 1));
    await eventually(t, () => spoolFiles(server).length === 1);
    sending.reset();
    await eventually(t, () => spoolFiles(server).length === 0);

    const waiting = await server.connect();
    waiting.send(head("/spooled-hang", MIB));
    waiting.send(Buffer.alloc(MIB));
    await server.until(({ msg }) => msg === "hang began");
    await eventually(t, () => spoolFiles(server).length === 1);
    waiting.destroy();
    await eventually(t, () => spoolFiles(server).length === 0);
    assert.equal(hasLogged(server, "digest began"), false);
  });

  it("is refused above the limit of all, which is given back", async (t) => {
    const server = await start(t, ["--spool-limit", "1mb"]);
    const first = await server.connect();
    first.send(head("/digest", 700 * KIB));
    first.send(Buffer.alloc(700 * KIB - 1));
    await eventually(t, () => statsOfSpoolFiles(server)[0]?.size === 700 * KIB - 1);
    const second = await server.connect();
    second.send(head("/digest", 700 * KIB));
    second.send(Buffer.alloc(700 * KIB));
    const refusal = await second.response();
    assert.equal(refusal.status, 503);
    assert.equal(fieldOf(refusal, "retry-after"), "1");
    await server.until(({ setting }) => setting === "spoolLimit");
    first.send(Buffer.alloc(1));
    assert.equal((await first.response()).status, 200);
    await eventually(t, () => spoolFiles(server).length === 0);
    const third = await server.connect();
    third.send(head("/digest", 900 * KIB));
    third.send(Buffer.alloc(900 * KIB));
    assert.equal((await third.response()).status, 200);
  });

  it("is answered 507 when the disk refuses, and the log names why", async (t) => {
    const server = await start(t);
    // No file of the primary may become larger.
    execFileSync("prlimit", ["--pid", String(server.pid), `--fsize=${MIB}`]);
    const connection = await server.connect();
    connection.send(head("/digest", 4 * MIB));
    connection.send(Buffer.alloc(4 * MIB));
    assert.equal((await connection.response()).status, 507);
    const line = await server.until(({ code }) => code === "ERR_SPOOL");
    assert.match(JSON.stringify(line["err"]), /EFBIG/);
    await eventually(t, () => spoolFiles(server).length === 0);
    assert.equal(await (await server.fetch("/")).text(), "hello");
  });

  it("is answered 507 when its folder cannot be made", async (t) => {
    const stateDir = temporaryFolder(t);
    writeFileSync(join(stateDir, "spool"), "");
    const server = await start(t, ["--state-dir", stateDir]);
    const response = await server.fetch("/digest", { method: "POST", body: Buffer.alloc(MIB) });
    assert.equal(response.status, 507);
    await server.until(({ code }) => code === "ERR_SPOOL");
  });
});

describe("what a killed process left in the spool", { timeout: 600_000 }, () => {
  it("is removed when the next one starts", async (t) => {
    const stateDir = temporaryFolder(t);
    mkdirSync(join(stateDir, "spool"));
    writeFileSync(join(stateDir, "spool/body-0123"), "secret");
    await start(t, ["--state-dir", stateDir]);
    await eventually(t, () => readdirSync(join(stateDir, "spool")).length === 0);
  });
});

describe("a response that is spooled", { timeout: 600_000 }, () => {
  it("frees its worker, which may even be replaced, while the client still reads", async (t) => {
    const server = await start(t);
    const content = randomBytes(20 * MIB);
    const file = join(temporaryFolder(t), "content");
    writeFileSync(file, content);
    const slow = await server.connect();
    slow.socket.pause();
    slow.send(`GET /download?file=${file} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await server.until(({ msg }) => msg === "download produced");
    await eventually(t, () => spoolFiles(server).length === 1);
    const [worker] = server.workers.values();
    // It is replaced, and ends once it has nothing left to do.
    server.kill("SIGHUP");
    await eventually(t, () => !existsSync(`/proc/${worker}`));
    assert.equal(digest(await readAll(slow)), digest(content));
    await eventually(t, () => spoolFiles(server).length === 0);
  });

  it("is sent to its end when the server stops", async (t) => {
    const server = await start(t, ["--drain-grace", "10m"]);
    const file = join(temporaryFolder(t), "content");
    writeFileSync(file, randomBytes(20 * MIB));
    const slow = await server.connect();
    slow.socket.pause();
    slow.send(`GET /download?file=${file} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await server.until(({ msg }) => msg === "download produced");
    const [worker] = server.workers.values();
    server.kill("SIGTERM");
    await eventually(t, () => !existsSync(`/proc/${worker}`));
    assert.equal((await readAll(slow)).length, 20 * MIB);
    assert.deepEqual(await server.exit, { code: 0, signal: null });
  });

  it("leaves nothing when its client leaves, during and after its worker's part", async (t) => {
    const server = await start(t);
    const file = join(temporaryFolder(t), "content");
    writeFileSync(file, Buffer.alloc(20 * MIB));
    const slow = await server.connect();
    slow.socket.pause();
    slow.send(`GET /download?file=${file} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await server.until(({ msg }) => msg === "download produced");
    slow.destroy();
    await eventually(t, () => spoolFiles(server).length === 0);
    const endless = await server.connect();
    endless.socket.pause();
    endless.send("GET /download?file=/dev/zero HTTP/1.1\r\nHost: a\r\n\r\n");
    await eventually(t, () => spoolFiles(server).length === 1);
    endless.destroy();
    await server.until(({ msg }) => msg === "download cancelled");
    await eventually(t, () => spoolFiles(server).length === 0);
  });

  it("waits for its client where there is no room, and arrives whole all the same", async (t) => {
    for (const cause of ["limit", "disk"]) {
      const server = await start(t, cause === "limit" ? ["--spool-limit", "1mb"] : []);
      if (cause === "disk") {
        execFileSync("prlimit", ["--pid", String(server.pid), `--fsize=${MIB}`]);
      }
      const content = randomBytes(20 * MIB);
      const file = join(temporaryFolder(t), "content");
      writeFileSync(file, content);
      const slow = await server.connect();
      slow.socket.pause();
      slow.send(`GET /download?file=${file} HTTP/1.1\r\nHost: a\r\n\r\n`);
      const key = cause === "limit" ? "setting" : "code";
      await server.until((line) => line[key] === (key === "code" ? "ERR_SPOOL" : "spoolLimit"));
      assert.equal(hasLogged(server, "download produced"), false);
      assert.equal(digest(await readAll(slow)), digest(content));
      await eventually(t, () => spoolFiles(server).length === 0);
      await server.stop();
    }
  });
});

describe("bodies that are spooled both ways", { timeout: 600_000 }, () => {
  it("arrive as they were sent", async (t) => {
    const server = await start(t);
    const body = randomBytes(20 * MIB);
    const echo = async (): Promise<void> => {
      const connection = await server.connect();
      connection.send(head("/spooled-echo", body.length));
      connection.send(body);
      assert.ok((await connection.response()).body.equals(body));
      connection.destroy();
    };
    await Promise.all([echo(), echo(), echo()]);
    await eventually(t, () => spoolFiles(server).length === 0);
  });
});
