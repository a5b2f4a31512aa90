import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import type { Status } from "../../runtime/control/operations.ts";
import { findLoopbackPorts } from "../../runtime/supervise/hang/loopback-ports.ts";
import { askServer } from "../helpers/ask-server.ts";
import { eventually } from "../helpers/eventually.ts";
import { type RunningCommand, runCommand, startCommand } from "../helpers/run-command.ts";
import { shareServer } from "../helpers/shared-server.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";

const HANDLERS = {
  // Goes on until the file that its query names is there.
  "burn.ts": `import { existsSync } from "node:fs";
  class KeptByTheTest { text = "a text of the heap"; }
  const kept = new KeptByTheTest();
  export function burnSomeTime() {
    const end = performance.now() + 20;
    while (performance.now() < end);
  }
  export default async (request) => {
    const file = new URL(request.url).searchParams.get("until");
    do {
      burnSomeTime();
      await new Promise((resolve) => setImmediate(resolve));
    } while (file !== null && !existsSync(file));
    return new Response(kept.text + process.pid);
  };`,
};

const shared = shareServer({
  handlers: HANDLERS,
  workers: 1,
  flags: ["--log-level", "debug"],
});

/** Makes a worker burn time without a pause, however busy this process is, until the returned function is called. */
function burn(server: TestServer): () => Promise<void> {
  const burning = server.fetch("/burn?until=over");
  return async () => {
    writeFileSync(join(server.dir, "over"), "");
    await (await burning).arrayBuffer();
    rmSync(join(server.dir, "over"));
  };
}

/** Sends requests to the server until the returned function is called. */
function keepBusy(server: TestServer): () => Promise<void> {
  const over = new AbortController();
  const asking = (async () => {
    while (!over.signal.aborted) await (await server.fetch("/burn")).arrayBuffer();
  })();
  return async () => {
    over.abort();
    await asking;
  };
}

function modeOf(path: string): number {
  return statSync(path).mode & 0o777;
}

/** The functions of a CPU profile. */
function functionsOf(path: string): string[] {
  // The format of DevTools.
  const { nodes } = JSON.parse(readFileSync(path, "utf8")) as {
    nodes: { callFrame: { functionName: string } }[];
  };
  return nodes.map(({ callFrame }) => callFrame.functionName);
}

/** Begins a heap snapshot of a worker, and stops the command within it: the worker stands still until the command goes on. */
async function beginSnapshot(
  t: TestContext,
  server: TestServer,
  pid: number,
): Promise<RunningCommand> {
  for (let attempt = 0; ; attempt++) {
    const output = `b${attempt}.heapsnapshot`;
    const args = ["profile", String(pid), "--heap", "--json", "--output", output];
    const command = startCommand(args, server.dir);
    assert.ok(command.child.stderr !== null);
    await once(command.child.stderr, "data");
    command.child.kill("SIGSTOP");
    t.after(() => command.child.kill("SIGKILL"));
    const { stdout } = await askServer(["status", "--json"], server.dir);
    // The answer of a server of this version.
    const { pools } = JSON.parse(stdout) as Status;
    const worker = pools[0]?.workers.find((each) => each.pid === pid);
    if (worker?.state === "silent") return command;
    // The snapshot was complete before the signal came.
    command.child.kill("SIGCONT");
    await command.result;
  }
}

describe("edgicorn profile", { timeout: 300_000 }, () => {
  it("records the functions of a worker, which serves on, and replaces no file", async (t) => {
    const server = await shared();
    const [[number, pid] = [0, 0]] = server.workers;
    const end = burn(server);
    const args = ["profile", String(number), "--seconds", "1", "--output", "a.cpuprofile"];
    const result = await runCommand(args, server.dir);
    await end();
    const path = join(server.dir, "a.cpuprofile");
    assert.deepEqual([result.code, result.stdout], [0, `${path}\n`], result.stderr);
    // V8 shows its caller only, when V8 had inlined the function before the profile began.
    const functions = functionsOf(path);
    assert.ok(
      functions.some((name) => /^burn(SomeTime|_default)$/.test(name)),
      functions.join(", "),
    );
    assert.equal(modeOf(path), 0o600);
    await eventually(t, async () => (await findLoopbackPorts(pid)).length === 0);
    assert.equal(await (await server.fetch("/burn")).text(), `a text of the heap${pid}`);

    const again = await runCommand(args, server.dir);
    assert.equal(again.code, 78);
    assert.match(again.stderr, /a\.cpuprofile: it exists already, expected a new file/);
  });

  it("takes the heap of a worker, named by its process id, which is not killed meanwhile", async (t) => {
    const flags = ["--hang-timeout", "5s", "--log-level", "debug"];
    const server = await startServer(t, { handlers: HANDLERS, workers: 2, flags });
    const [[number, pid] = [0, 0], [, otherPid] = [0, 0]] = server.workers;
    const snapshot = await beginSnapshot(t, server, pid);
    // Both are silent. The other one is killed for it.
    for (const each of [pid, otherPid]) process.kill(each, "SIGSTOP");
    await server.until(
      ({ msg, workerPid }) => msg?.startsWith("worker exited") === true && workerPid === otherPid,
    );
    process.kill(pid, "SIGCONT");
    snapshot.child.kill("SIGCONT");
    const { code, stdout, stderr } = await snapshot.result;
    assert.equal(code, 0, stderr);
    assert.match(stderr, new RegExp(`worker ${number} .* stands still meanwhile.*secrets`));
    const { file, bytes } = JSON.parse(stdout) as { file: string; bytes: number };
    assert.deepEqual([statSync(file).size, modeOf(file)], [bytes, 0o600]);
    const { strings } = JSON.parse(readFileSync(file, "utf8")) as { strings: string[] };
    assert.ok(strings.includes("KeptByTheTest") && strings.includes("a text of the heap"));
    assert.equal(server.workers.get(number), pid);
    assert.match(await (await server.fetch("/burn")).text(), /^a text of the heap\d+$/);
  });

  it("profiles the primary, and leaves no file in the state folder", async () => {
    const server = await shared();
    const idle = keepBusy(server);
    const cpu = await runCommand(
      ["profile", "primary", "--seconds", "0.3", "--output", "c.cpuprofile"],
      server.dir,
    );
    await idle();
    assert.equal(cpu.code, 0, cpu.stderr);
    assert.ok(functionsOf(join(server.dir, "c.cpuprofile")).length > 1);
    const heap = await runCommand(
      ["profile", "primary", "--heap", "--output", "c.heapsnapshot"],
      server.dir,
    );
    assert.equal(heap.code, 0, heap.stderr);
    const text = readFileSync(join(server.dir, "c.heapsnapshot"), "utf8");
    const { strings } = JSON.parse(text) as { strings: string[] };
    assert.ok(strings.includes("Dispatcher"));
    const left = readdirSync(join(server.dir, ".edgicorn"));
    assert.deepEqual(
      left.filter((name) => name.endsWith(".heapsnapshot")),
      [],
    );
  });

  it("keeps what it has when it is interrupted", async () => {
    const server = await shared();
    const [[number] = [0]] = server.workers;
    const args = ["profile", String(number), "--seconds", "600", "--output", "d.cpuprofile"];
    const { child, result } = startCommand(args, server.dir);
    assert.ok(child.stderr !== null);
    await once(child.stderr, "data");
    child.kill("SIGINT");
    const { code, stderr } = await result;
    assert.equal(code, 0, stderr);
    assert.ok(functionsOf(join(server.dir, "d.cpuprofile")).length > 0);
  });

  it("refuses workers that do not exist, and says when none is left to ask", async () => {
    const server = await shared();
    const unknown = await runCommand(["profile", "99"], server.dir);
    assert.equal(unknown.code, 78);
    assert.match(unknown.stderr, /found no such worker, expected \d+ \(process \d+\) or primary/);
    const nowhere = await runCommand(["profile", "1", "--state-dir", "none"], server.dir);
    assert.equal(nowhere.code, 69);
    const files = readdirSync(server.dir).filter((name) => name.startsWith("edgicorn-"));
    assert.deepEqual(files, []);
  });

  it("leaves no file when the worker ends meanwhile", async (t) => {
    const server = await startServer(t, { handlers: HANDLERS, workers: 1 });
    const [[number, pid] = [0, 0]] = server.workers;
    const args = ["profile", String(number), "--seconds", "600", "--output", "e.cpuprofile"];
    const { child, result } = startCommand(args, server.dir);
    assert.ok(child.stderr !== null);
    await once(child.stderr, "data");
    process.kill(pid, "SIGKILL");
    const { code, stderr } = await result;
    assert.equal(code, 70, stderr);
    assert.match(stderr, /the worker ended meanwhile/);
    assert.ok(!existsSync(join(server.dir, "e.cpuprofile")));
  });
});
