import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { noRedis, RedisServer } from "../helpers/redis-server.ts";
import { runCommand } from "../helpers/run-command.ts";
import { type LogLine, startServer, type TestServer } from "../helpers/start-server.ts";
import { SuiteOwner } from "../helpers/suite-owner.ts";

const SEND = `
export async function POST(request, { env }) {
  const { queue = "JOBS", batch, body, ...options } = await request.json();
  try {
    if (batch !== undefined) await env[queue].sendBatch(batch);
    else await env[queue].send(body, options);
    return new Response("sent");
  } catch (error) {
    return new Response(error.message, { status: 507 });
  }
}`;

/** Each message says what becomes of it. */
const JOBS = `
export default {
  async queue(batch, env, context) {
    for (const message of batch.messages) {
      const { body: { name, act = "return", delaySeconds }, id, attempts, timestamp } = message;
      const all = batch.messages.map(({ body }) => body.name);
      context.log.info({ name, id, attempts, all, queue: batch.queue, at: timestamp.getTime() }, "got");
      if (act === "ack") message.ack();
      if (act === "retry" && attempts === 1) message.retry({ delaySeconds });
      if (act === "kill" && attempts === 1) process.kill(process.pid, "SIGKILL");
      if (act === "hang") await new Promise(() => {});
      if (act === "throw") throw new Error("no luck");
    }
  },
};
export const config = {
  queue: { name: "jobs", batchSize: 5, retries: 2, backoff: 0, deadLetter: "dead", concurrency: 1 },
};`;

const DEAD = `
export const config = { queue: "dead" };
export function queue(batch, env, context) {
  for (const { body, attempts } of batch.messages) context.log.info({ name: body.name, attempts }, "dead");
}`;

/** Holds its only worker until the file is there. */
const SLOW = `
import { existsSync } from "node:fs";
export const config = { queue: { name: "slow", retries: 0 } };
export async function queue(batch, env, context) {
  context.log.info({ name: batch.messages[0].body }, "slow begins");
  while (!existsSync("go")) await new Promise((resolve) => setTimeout(resolve, 20));
  context.log.info({ name: batch.messages[0].body }, "slow ends");
}`;

const TYPES = `
export const config = { queue: { name: "types", retries: 0 } };
export function queue(batch, env, context) {
  for (const { body } of batch.messages) {
    const kind = Object.prototype.toString.call(body);
    context.log.info({ kind, text: body instanceof Map ? [...body] : body }, "typed");
  }
}
export async function GET(request, { env }) {
  await env.TYPES.send(new Map([["a", new Date(0)]]));
  await env.TYPES.send({ a: new Date(0) }, { contentType: "json" });
  await env.TYPES.send("text", { contentType: "text" });
  await env.TYPES.send(new Uint8Array([1]), { contentType: "bytes" });
  const refused = [];
  for (const args of [
    [() => {}], ["x".repeat(200_000)], ["x", { delaySeconds: -1 }], ["x", { contentType: "xml" }],
    [1, { contentType: "text" }], [undefined, { contentType: "json" }],
  ]) {
    refused.push(await env.TYPES.send(...args).then(() => "sent", (error) => error.message));
  }
  refused.push(await env.TYPES.sendBatch(Array(101).fill({ body: 1 })).then(() => "sent", (error) => error.message));
  return Response.json(refused);
}`;

const HANDLERS = {
  "send.ts": SEND,
  "jobs.ts": JOBS,
  "dead.ts": DEAD,
  "slow.ts": SLOW,
  "types.ts": TYPES,
};

const BINDINGS = {
  JOBS: { queue: "jobs" },
  SLOW: { queue: "slow" },
  TYPES: { queue: { name: "types", limit: 500 } },
};

async function send(server: TestServer, message: object): Promise<void> {
  const init = { method: "POST", body: JSON.stringify(message) };
  const response = await server.fetch("/send", init);
  assert.equal(await response.text(), "sent");
}

function got({ logs }: TestServer, name: string): LogLine[] {
  return logs.filter((line) => line.msg === "got" && line["name"] === name);
}

describe("queues", { timeout: 600_000 }, () => {
  const owner = new SuiteOwner();
  after(() => owner.end());
  let shared: Promise<TestServer> | null = null;
  const start = (): Promise<TestServer> =>
    (shared ??= startServer(owner, {
      handlers: HANDLERS,
      files: { "edgicorn.config.mjs": `export default ${JSON.stringify({ bindings: BINDINGS })}` },
      workers: 2,
    }));

  it("hand each message to queue(), once", async () => {
    const server = await start();
    await send(server, { body: { name: "a" } });
    await send(server, { batch: ["b", "c"].map((name) => ({ body: { name } })) });
    for (const name of ["a", "b", "c"]) {
      // oxlint-disable-next-line no-await-in-loop -- Lines that are there already count.
      await server.until((line) => line.msg === "got" && line["name"] === name);
    }
    await send(server, { body: { name: "last" } });
    await server.until((line) => line.msg === "got" && line["name"] === "last");
    assert.deepEqual(
      ["a", "b", "c", "last"].map((name) => got(server, name).length),
      [1, 1, 1, 1],
    );
    const [first] = got(server, "a");
    assert.equal(first?.["queue"], "jobs");
    assert.equal(first["attempts"], 1);
    assert.match(String(first["id"]), /^[0-9a-f]{32}$/);
    assert.equal((await server.fetch("/jobs")).status, 404);
  });

  it("keep the types of bodies, and refuse what no body can be", async () => {
    const server = await start();
    const refused = (await (await server.fetch("/types")).json()) as string[];
    assert.match(refused[0] ?? "", /^Cannot send a body that cannot be copied/);
    assert.match(
      refused[1] ?? "",
      /^Cannot send a message of 20\d+ bytes, expected at most 131072/,
    );
    assert.match(refused[2] ?? "", /^Cannot use delaySeconds -1/);
    assert.match(refused[3] ?? "", /^Cannot send with contentType "xml", expected one of json/);
    assert.match(refused[4] ?? "", /^Cannot send a body of type number as text/);
    assert.match(refused[5] ?? "", /^Cannot send a body of type undefined as JSON/);
    assert.match(refused[6] ?? "", /^Cannot send a batch: found at least 101 messages/);
    const kinds = ["Map", "Object", "String", "ArrayBuffer"];
    for (const kind of kinds) {
      // oxlint-disable-next-line no-await-in-loop -- Lines that are there already count.
      await server.until((line) => line.msg === "typed" && line["kind"] === `[object ${kind}]`);
    }
    const json = server.logs.find(({ kind }) => kind === "[object Object]");
    assert.deepEqual(json?.["text"], { a: "1970-01-01T00:00:00.000Z" });
  });

  it("offer messages of a failed batch again, but for those with ack(), and bury them at last", async () => {
    const server = await start();
    const batch = [{ body: { name: "kept", act: "ack" } }, { body: { name: "bad", act: "throw" } }];
    await send(server, { batch });
    const buried = await server.until((line) => line.msg === "dead" && line["name"] === "bad");
    assert.equal(buried["attempts"], 1);
    assert.deepEqual(
      got(server, "bad").map(({ attempts }) => attempts),
      [1, 2, 3],
    );
    assert.equal(got(server, "kept").length, 1);
    assert.ok(
      server.logs.some(
        ({ msg, err }) => msg === "queue() failed" && JSON.stringify(err).includes("no luck"),
      ),
    );
  });

  it("offer a message with retry() again after its delay, and no other one", async () => {
    const server = await start();
    const batch = [
      { body: { name: "again", act: "retry", delaySeconds: 1 } },
      { body: { name: "fine" } },
    ];
    await send(server, { batch });
    await server.until(
      (line) => line.msg === "got" && line["name"] === "again" && line["attempts"] === 2,
    );
    const [first, second] = got(server, "again").map(({ time }) => Date.parse(String(time)));
    assert.ok(Number(second) - Number(first) >= 990, `${String(first)} ${String(second)}`);
    assert.equal(got(server, "fine").length, 1);
  });

  it("give the messages of a lost worker to another one, each alone", async () => {
    const server = await start();
    const batch = [
      { body: { name: "crash", act: "kill" } },
      { body: { name: "beside", act: "kill" } },
    ];
    await send(server, { batch });
    for (const name of ["crash", "beside"]) {
      // oxlint-disable-next-line no-await-in-loop -- Lines that are there already count.
      await server.until(
        (line) => line.msg === "got" && line["name"] === name && Number(line["attempts"]) >= 2,
      );
      assert.deepEqual(got(server, name).at(-1)?.["all"], [name]);
    }
  });

  it("finish a batch of the old code during a reload, and use the new code then", async () => {
    const server = await start();
    await send(server, { queue: "SLOW", body: "one" });
    await server.until(({ msg }) => msg === "slow begins");
    writeFileSync(join(server.handlersDir, "slow.ts"), SLOW.replace("slow begins", "new begins"));
    const { code, stderr } = await runCommand(["reload"], server.dir);
    assert.equal(code, 0, stderr);
    assert.ok(!server.logs.some(({ msg }) => msg === "slow ends"));
    writeFileSync(join(server.dir, "go"), "");
    await server.until(({ msg }) => msg === "slow ends");
    await send(server, { queue: "SLOW", body: "two" });
    await server.until((line) => line.msg === "new begins" && line["name"] === "two");
    assert.equal(server.logs.filter((line) => line["name"] === "one").length, 2);
  });

  it("are shown in the status and in the metrics", async (t) => {
    const server = await start();
    const read = async (): Promise<Record<string, unknown>> => {
      const { stdout } = await runCommand(["status", "--json"], server.dir);
      const { queues } = JSON.parse(stdout) as { queues: Record<string, unknown>[] };
      return queues.find(({ queue }) => queue === "jobs") ?? assert.fail("no queue");
    };
    // The message that was buried, and the worker that was lost, are in the counts once their batches are settled.
    let jobs = await read();
    while (["batches", "inWork", "waiting", "delayed", "dead"].some((key) => jobs[key] !== 0)) {
      assert.ok(!t.signal.aborted);
      // oxlint-disable-next-line no-await-in-loop -- Until the next count.
      jobs = await read();
    }
    const { buried, dropped, lost, delayed, route } = jobs;
    assert.deepEqual(
      { buried, dropped, lost, delayed, route },
      {
        buried: 1,
        dropped: 0,
        lost: 0,
        delayed: 0,
        route: "/jobs",
      },
    );
    assert.ok(Number(jobs["acknowledged"]) >= 9 && Number(jobs["retried"]) >= 4);
    const { stdout } = await runCommand(["status"], server.dir);
    assert.match(stdout, /^queue +route +waiting +delayed/m);
    assert.match(stdout, /^jobs +\/jobs +0 +0 +0 +0 /m);
  });

  it("give the messages of a killed server to the next one, and no acknowledged one", async (t) => {
    const files = {
      "edgicorn.config.mjs": `export default ${JSON.stringify({ bindings: BINDINGS })}`,
    };
    const first = await startServer(t, { handlers: HANDLERS, files });
    await send(first, { body: { name: "done" } });
    await first.until((line) => line.msg === "got" && line["name"] === "done");
    await send(first, { body: { name: "open", act: "hang" } });
    await first.until((line) => line.msg === "got" && line["name"] === "open");
    // The handler that hangs takes the only batch at a time: this server cannot come to the message, however slow it is.
    await send(first, { body: { name: "later", act: "ack" }, delaySeconds: 1 });
    process.kill(first.pid, "SIGKILL");
    await first.exit;
    writeFileSync(join(first.handlersDir, "jobs.ts"), JOBS.replace(`act === "hang"`, "false"));
    const second = await startServer(t, { handlers: first.handlersDir, cwd: first.dir });
    const open = await second.until((line) => line.msg === "got" && line["name"] === "open");
    assert.equal(open["attempts"], 2);
    await second.until((line) => line.msg === "got" && line["name"] === "later");
    assert.equal(got(second, "done").length, 0);
  });
});

describe("queues in Redis", { timeout: 600_000, skip: noRedis }, () => {
  it("are shared by several servers, and outlive Redis", async (t) => {
    const redis = await RedisServer.start(t);
    const bindings = { JOBS: { queue: "jobs", store: "shared" } };
    const stores = { shared: { redis: `unix:${redis.socket}`, timeout: "20s" } };
    const files = {
      "edgicorn.config.mjs": `export default ${JSON.stringify({ bindings, stores })}`,
    };
    const handlers = { "send.ts": SEND, "jobs.ts": JOBS, "dead.ts": DEAD };
    const [one, two] = await Promise.all([
      startServer(t, { handlers, files }),
      startServer(t, { handlers, files }),
    ]);
    const names = Array.from({ length: 40 }, (_, at) => `n${at}`);
    await Promise.all(names.map((name) => send(one, { body: { name } })));
    const arrived = async (name: string): Promise<unknown> =>
      Promise.any(
        [one, two].map((each) => each.until((line) => line.msg === "got" && line["name"] === name)),
      );
    await Promise.all(names.map(arrived));
    assert.deepEqual(
      names.map((name) => got(one, name).length + got(two, name).length),
      names.map(() => 1),
    );
    await send(one, { body: { name: "waits" }, delaySeconds: 2 });
    await redis.kill();
    const refused = await one.fetch("/send", {
      method: "POST",
      body: JSON.stringify({ body: { name: "refused" } }),
    });
    assert.deepEqual(
      [refused.status, (await refused.text()).slice(0, 18)],
      [507, "Cannot reach Redis"],
    );
    await one.until(({ msg }) => msg === "cannot reach the store of a queue");
    await redis.start();
    await arrived("waits");
    await send(two, { body: { name: "end" } });
    await arrived("end");
  });
});
