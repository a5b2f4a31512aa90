import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { loadedLibrary } from "../helpers/library.ts";
import { RawConnection } from "../helpers/raw-connection.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";
import { untilRead } from "../helpers/until-read.ts";
import { CHUNKS, FRAMING } from "./raw-requests/framing.ts";
import { CONNECTIONS, FIELDS, TARGETS } from "./raw-requests/heads.ts";
import type { Outcome, Row } from "./raw-requests/row.ts";

/** Between two writes: longer than an answer takes, so that the second one is read after it. */
const PAUSE_MS = 250;

/** How long a connection has to stay after its last answer, or without one, to count as open. */
const STAYS_MS = 1_000;

/** The library closes a silent connection after this time at the earliest. */
const LIBRARY_TIMER_MS = 8_000;

/** How long an answer, or the end of a connection, may take on a slow machine. */
const PATIENCE_MS = 90_000;

const HANDLERS = {
  "[...path].ts": `
    export default async (request) => {
      const { pathname: path, search: query } = new URL(request.url);
      const body = await request.text();
      return Response.json({ path, query, body, fields: Object.fromEntries(request.headers) });
    };`,
  "nothing.ts": `export default () => new Response(null, { status: 204 });`,
  "large.ts": `export default () => new Response("x".repeat(300_000));`,
  "stream.ts": `
    export default () => {
      let left = 3;
      return new Response(new ReadableStream({
        async pull(controller) {
          await new Promise((resolve) => setTimeout(resolve, 20));
          if (left-- > 0) controller.enqueue(new TextEncoder().encode("piece"));
          else controller.close();
        },
      }));
    };`,
};

/** The statuses of all answers; those in a body that is a request would not be at the beginning of a line. */
function statusesOf(text: string): number[] {
  return [...text.matchAll(/(?:^|\r\n\r\n.*|\n)HTTP\/1\.1 (\d{3}) /g)].map(([, status]) =>
    Number(status),
  );
}

/** Sends a row's bytes on a connection of their own, and sees what comes. */
async function run(
  port: number,
  row: Row,
  expected: Outcome,
): Promise<{ outcome: Outcome; text: string }> {
  const connection = await RawConnection.open(port);
  let text = "";
  connection.socket.on("data", (bytes: Buffer) => (text += bytes.toString("latin1")));
  const writes = typeof row.send === "string" ? [row.send] : row.send;
  const startMs = performance.now();
  const isLate = (): boolean => performance.now() - startMs > PATIENCE_MS;
  for (const [index, write] of writes.entries()) {
    if (typeof write === "object") {
      const isDue = (): boolean => write.after?.test(text) ?? statusesOf(text).length >= index;
      while (!isDue() && !connection.closed && !isLate()) await delay(20);
    } else if (index > 0) {
      await untilRead(connection.socket);
      await delay(PAUSE_MS);
    }
    if (!connection.closed) connection.send(typeof write === "string" ? write : write.later);
  }
  const answers = expected.split(",").length;
  const isDone = (): boolean => {
    if (connection.closed || isLate()) return true;
    if (expected === "silent") return performance.now() - startMs > writes.length * STAYS_MS;
    return expected.endsWith("open") && statusesOf(text).length >= answers;
  };
  while (!isDone()) await delay(20);
  // One that is to stay could still be closed, or answered once more.
  if (!connection.closed && expected !== "silent") await delay(STAYS_MS);
  const statuses = statusesOf(text).join(",");
  const state = connection.closed ? "closed" : "open";
  // On a slow machine the library's timer may close the connection before the test looks.
  const isByTimer = expected === "silent" && performance.now() - startMs > LIBRARY_TIMER_MS;
  connection.destroy();
  if (statuses === "") return { outcome: state === "open" || isByTimer ? "silent" : state, text };
  return { outcome: `${statuses} ${state}`, text };
}

async function start(t: TestContext, engine: "uws" | "node"): Promise<TestServer> {
  const server = await startServer(t, {
    workers: 2,
    handlers: HANDLERS,
    public: { "file.txt": "a file" },
    // All rows at once must not look like overload on a slow machine.
    flags: [
      "--engine",
      engine,
      "--body-limit",
      "1mb",
      "--queue-delay",
      "0s",
      "--health-path",
      "/healthz",
      // One row waits for it with the Node engine.
      ...(engine === "node" ? ["--body-timeout", "15s"] : []),
    ],
  });
  // Into memory: from then on it is answered at once.
  await (await server.fetch("/file.txt")).text();
  return server;
}

describe("raw requests", { timeout: 600_000 }, () => {
  const rows = [...FRAMING, ...CHUNKS, ...FIELDS, ...TARGETS, ...CONNECTIONS];

  it("are more than 150, each with a name of its own", () => {
    assert.ok(rows.length >= 150, `${rows.length} rows`);
    assert.equal(new Set(rows.map(({ name }) => name)).size, rows.length);
  });

  it("end as the table says, and none of them is read in two ways", async (t) => {
    const server = await start(t, "uws");
    const library = (await loadedLibrary()).startsWith("uws-pack") ? "pack" : "btc";
    await check(
      server,
      (row) => row[library] ?? row.here ?? row.rfc,
      ({ sees }) => sees,
    );
    // With the Node engine some are run by right, and each that is run has an answer that the table counts.
    const paths = server.accessLines.map(({ path }) => path);
    assert.ok(!paths.includes("/smuggled"), "a hidden request was run");
  });

  it("end as the RFC asks for with the Node engine, but for a few", async (t) => {
    const server = await start(t, "node");
    await check(
      server,
      (row) => row.node ?? row.rfc,
      (row) => row.nodeSees ?? row.sees,
    );
  });

  async function check(
    server: TestServer,
    outcomeOf: (row: Row) => Outcome,
    seesOf: (row: Row) => RegExp | undefined,
  ): Promise<void> {
    const wrong: string[] = [];
    await Promise.all(
      rows.map(async (row) => {
        const expected = outcomeOf(row);
        const { outcome, text } = await run(server.port("http"), row, expected);
        const isClosed = row.mayClose === true && outcome === expected.replace("open", "closed");
        if (outcome !== expected && !isClosed)
          wrong.push(`${row.name}: ${outcome}, expected ${expected}`);
        const sees = expected.startsWith("200") ? seesOf(row) : undefined;
        // The answer belongs to the outcome of the other engine then.
        const answer = row.here !== undefined && expected !== row.here ? undefined : row.answer;
        for (const pattern of [sees, answer]) {
          if (pattern?.test(text) === false)
            wrong.push(`${row.name}: no ${String(pattern)} in ${text}`);
        }
      }),
    );
    assert.deepEqual(wrong, []);
    await server.untilAccess({ path: "/a" });
    // It serves as before, with the workers that it started with.
    assert.equal((await server.fetch("/a")).status, 200);
    assert.deepEqual(new Set(server.workers.keys()), new Set([1, 2]));
  }
});
