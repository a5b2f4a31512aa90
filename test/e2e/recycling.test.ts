import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { FIXTURE_HANDLERS } from "../helpers/fixture-handlers.ts";
import { HttpClient } from "../helpers/http-client.ts";
import { Load } from "../helpers/load.ts";
import { startServer, type LogLine, type TestServer } from "../helpers/start-server.ts";

const QUIET = ["--access-log", "off"];

/** Lines of workers that were told to go. */
function retirements(server: TestServer): LogLine[] {
  return server.logs.filter(({ msg }) => msg === "worker retires");
}

/** Most workers that were ready and had not exited, at any time. */
function mostWorkers(server: TestServer): number {
  let most = 0;
  let now = 0;
  for (const { msg } of server.logs) {
    if (msg === "worker ready") now++;
    else if (msg?.startsWith("worker exited") === true) now--;
    most = Math.max(most, now);
  }
  return most;
}

/** One that keeps what it is asked to, until it is gone. */
const KEEPS_MEMORY = `
  const kept = [];
  export default (request) => {
    const mib = Number(new URL(request.url).searchParams.get("mib"));
    for (let taken = 0; taken < mib; taken++) kept.push(Buffer.alloc(1024 * 1024, 1));
    return new Response(String(process.pid));
  };`;

/** It takes all that it can get and never returns: of the heap, or outside of it. */
const BOMBS = {
  "heap.ts": `export default () => { const all = []; for (;;) all.push({ at: [all.length] }); }`,
  "buffers.ts": `export default () => { const all = []; for (;;) all.push(Buffer.alloc(1024 * 1024, 1)); }`,
};

describe("workers that are replaced after so many requests", { timeout: 180_000 }, () => {
  it("lose nothing under load, and are never more than one too many", async (t) => {
    const limits = ["--max-requests-per-worker", "100", "--max-requests-jitter", "100"];
    const flags = [...QUIET, ...limits];
    const server = await startServer(t, { workers: 2, handlers: FIXTURE_HANDLERS, flags });
    const client = new HttpClient(t, server.http, { connections: 8 });
    const load = new Load(t, 8, async (number) => {
      const { status, body } = await client.request(`/token?token=t${number}&delay=20`);
      return { status, isOwnAnswer: String(body) === `t${number};` };
    });
    await server.until(() => retirements(server).length >= 3);
    await server.until(({ msg }) => msg === "worker exited");
    const results = await load.stop();
    assert.ok(results.length > 300);
    const wrong = results.filter(({ status, isOwnAnswer }) => status !== 200 || !isOwnAnswer);
    assert.deepEqual(wrong, []);
    assert.deepEqual(
      new Set(retirements(server).map(({ reason }) => reason)),
      new Set(["requests"]),
    );
    assert.ok(mostWorkers(server) <= 3, `${mostWorkers(server)} workers`);
    assert.ok(server.logs.every(({ msg }) => msg !== "exchanges lost"));
  });

  it("finish what they have while others have taken their place", async (t) => {
    const flags = [...QUIET, "--max-requests-per-worker", "2"];
    const server = await startServer(t, { handlers: FIXTURE_HANDLERS, workers: 1, flags });
    const file = `${server.dir}/go`;
    const waiting = [1, 2].map(() => server.fetch(`/waits-for-file?file=${file}`));
    await server.until(({ msg }) => msg === "worker retires");
    // The fresh one serves, and the other has not gone.
    assert.equal((await server.fetch("/token?token=fresh")).headers.get("x-token"), "fresh");
    await server.until(({ msg, workerId }) => msg === "worker ready" && workerId === 2);
    assert.deepEqual([...server.workers.keys()], [1, 2]);
    writeFileSync(file, "");
    for (const response of await Promise.all(waiting)) assert.equal(response.status, 200);
    const exited = await server.until(({ msg }) => msg === "worker exited");
    assert.deepEqual([exited["workerId"], exited["code"], exited["cause"]], [1, 0, "retired"]);
  });
});

describe("workers whose memory is limited", { timeout: 180_000 }, () => {
  it("are replaced when they have grown, and nobody notices", async (t) => {
    const flags = [...QUIET, "--worker-memory-limit", "200mb"];
    const handlers = { "keep.ts": KEEPS_MEMORY };
    const server = await startServer(t, { handlers, workers: 1, flags });
    const grown = await (await server.fetch("/keep?mib=180")).text();
    const exited = await server.until(isExit);
    assert.deepEqual([String(exited["workerPid"]), exited["cause"]], [grown, "retired"]);
    assert.deepEqual(
      retirements(server).map(({ reason }) => reason),
      ["memory"],
    );
    const fresh = await server.fetch("/keep?mib=0");
    assert.equal(fresh.status, 200);
    assert.notEqual(await fresh.text(), grown);
  });

  it("end with what takes all it can get, and take nobody along", async (t) => {
    const flags = [...QUIET, "--worker-memory-limit", "150mb"];
    const handlers = { ...BOMBS, "keep.ts": KEEPS_MEMORY };
    const server = await startServer(t, { workers: 2, handlers, flags });
    const client = new HttpClient(t, server.http, { connections: 2 });
    const send = async (): Promise<number> => (await client.request("/keep?mib=0")).status;
    // Beside requests that take all that they get for seconds.
    const load = new Load(t, 2, send, { pauseMs: 5 });
    // A POST is not sent to another worker. One after the other: both could be given to the same.
    for (const path of ["/heap", "/buffers"]) {
      assert.equal((await server.fetch(path, { method: "POST" })).status, 502);
    }
    await server.until(({ msg, workerId }) => msg === "worker ready" && workerId === 4);
    // Who takes its place may be ready before it is gone.
    await server.until(() => server.logs.filter(isExit).length === 2);
    const results = await load.stop();
    t.diagnostic(`${results.length} others, ${results.filter((each) => each !== 200).length} lost`);
    assert.deepEqual(
      server.logs.filter(isExit).map(({ cause }) => cause),
      ["crashed", "crashed"],
    );
    const killed = server.logs.find(({ msg }) => msg?.includes("too much memory"));
    assert.equal(killed?.["setting"], "workerMemoryLimit");
  });
});

function isExit({ msg }: LogLine): boolean {
  return msg?.startsWith("worker exited") === true;
}
