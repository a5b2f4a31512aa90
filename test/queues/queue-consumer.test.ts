import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { decodeBatch, encodeVerdicts } from "../../runtime/channel/queue-batch.ts";
import { toQueueConfig } from "../../runtime/config/queue-config.ts";
import type { QueueHandler } from "../../runtime/handlers/site-routes.ts";
import type { Client, ExchangeId } from "../../runtime/http/client.ts";
import { QueueConsumer } from "../../runtime/queues/queue-consumer.ts";
import { openEmbeddedStore } from "../../runtime/stores/embedded-store.ts";
import { MessageQueue } from "../../runtime/stores/message-queue.ts";
import { createFakeLog, type FakeLog } from "../helpers/fake-log.ts";
import { loseMoves } from "../helpers/faulty-store.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

/** A batch that a worker has. */
interface Run {
  readonly texts: string[];
  readonly attempts: number[];
  readonly client: Client;
  /** Its time of `performance.now()`. */
  readonly atMs: number;
}

interface Bench {
  readonly queue: MessageQueue;
  readonly consumer: QueueConsumer;
  readonly log: FakeLog;
  readonly runs: Run[];
  /** Waits until there are so many runs. */
  readonly untilRuns: (count: number) => Promise<void>;
}

function acknowledge({ client, texts }: Run): void {
  const body = encodeVerdicts(texts.map(() => ({ kind: "acknowledge" })));
  client.reply({ status: 200, statusText: "", fields: "", body, lengthBytes: null });
}

/** Opens a consumer of a queue, whose store loses the answers of some moves. `answer` is called for each batch. */
async function open(
  t: TestContext,
  {
    retries,
    loses = () => false,
    answer = () => {},
    leaseMs = 60_000,
  }: {
    retries: number;
    loses?: (key: string) => boolean;
    answer?: (run: Run) => void;
    leaseMs?: number;
  },
): Promise<Bench> {
  const alive = setInterval(() => {}, 60_000);
  t.after(() => clearInterval(alive));
  const path = join(temporaryFolder(t), "main.lmdb");
  const file = await openEmbeddedStore({ path, durability: "process", timeoutMs: 60_000 });
  t.after(() => file.close());
  const store = loseMoves(file, loses);
  const queue = new MessageQueue(store, { name: "jobs", mostMessages: 100, owner: "a" });
  const [runs, events, log] = [[] as Run[], new EventEmitter(), createFakeLog()];
  const receive = (client: Client): void => {
    const chunks: Uint8Array[] = [];
    client.receiveBody({
      chunk: (bytes: Uint8Array) => void chunks.push(Uint8Array.from(bytes)),
      end() {
        const batch = decodeBatch(Buffer.concat(chunks));
        const texts = batch.map(({ body }) => Buffer.from(body).toString());
        const attempts = batch.map((message) => message.attempts);
        const run = { texts, attempts, client, atMs: performance.now() };
        runs.push(run);
        answer(run);
        events.emit("run");
      },
    });
  };
  const config = toQueueConfig({ name: "jobs", retries, backoff: 0, concurrency: 1 });
  const handler: QueueHandler = {
    site: "default",
    pattern: "/jobs",
    file: "jobs.ts",
    pool: "default",
    handler: 0,
    config: config ?? assert.fail("wrong config"),
    run: receive,
  };
  const consumer = new QueueConsumer(handler, {
    log: log.log,
    queue,
    store: "default",
    dead: null,
    lookMs: 20,
    nextId: () => 1 as ExchangeId,
    onFailure: () => {},
    isGone: () => false,
    leaseMs,
  });
  t.after(async () => {
    for (const run of runs) acknowledge(run);
    await consumer.close();
  });
  const untilRuns = async (count: number): Promise<void> => {
    while (runs.length < count) await once(events, "run");
  };
  return { queue, consumer, log, runs, untilRuns };
}

const toMessage = (text: string): Parameters<MessageQueue["send"]>[0][number] => ({
  body: Buffer.from(text),
  contentType: "text",
  delayMs: 0,
});

describe("QueueConsumer", { timeout: 120_000 }, () => {
  it("runs a message whose take took effect without an answer, as its first attempt", async (t) => {
    let lost = 0;
    const loses = (key: string): boolean => key.startsWith("w") && lost++ === 0;
    const bench = await open(t, { retries: 0, loses });
    await bench.queue.send([toMessage("1")]);
    bench.consumer.start();
    await bench.untilRuns(1);
    assert.deepEqual([bench.runs[0]?.texts, bench.runs[0]?.attempts], [["1"], [1]]);
    assert.equal(bench.log.lines.filter(({ level }) => level === 50).length, 1);
    assert.equal(bench.consumer.info.dropped, 0);
    assert.equal(bench.consumer.info.lost, 0);
  });

  it("keeps the lease of a message whose release took effect without an answer", async (t) => {
    let lost = 0;
    const loses = (key: string): boolean => key.startsWith("r") && lost++ === 0;
    // The first run throws, and the second one goes on.
    const answer = ({ client }: Run): void => {
      if (bench.runs.length === 1) client.refuse(500);
    };
    const bench = await open(t, { retries: 5, loses, answer, leaseMs: 500 });
    const extended = new EventEmitter();
    t.mock.method(bench.queue, "extend", () => Promise.resolve(extended.emit("extend")));
    await bench.queue.send([toMessage("1")]);
    bench.consumer.start();
    await bench.untilRuns(2);
    // The first attempt learns that its lease is gone.
    await bench.log.until(({ msg }) => String(msg).startsWith("the lease of a message was lost"));
    // The second attempt runs, so its lease is extended.
    await once(extended, "extend");
  });

  it("pauses after a refused batch, and logs the first of several refusals", async (t) => {
    const answer = ({ client }: Run): void => {
      if (bench.runs.length <= 2) client.refuse(503);
      else client.refuse(500);
    };
    const bench = await open(t, { retries: 0, answer });
    await bench.queue.send(["1", "2", "3"].map((text) => toMessage(text)));
    await bench.queue.send(Array.from({ length: 30 }, (_, at) => toMessage(`more ${at}`)));
    bench.consumer.start();
    await bench.untilRuns(3);
    const [first, second, third] = bench.runs.map(({ atMs }) => atMs);
    assert.ok(Number(second) - Number(first) >= 990, `${first} ${second}`);
    assert.ok(Number(third) - Number(second) >= 990, `${second} ${third}`);
    const refusals = bench.log.lines.filter(({ result }) => result === "refused");
    assert.equal(refusals.length, 1);
    assert.equal(bench.consumer.info.results["refused"], 2);
  });
});
