import assert from "node:assert/strict";
import { Socket } from "node:net";
import { describe, it, type TestContext } from "node:test";
import pino from "pino";
import { Channel } from "../../runtime/channel/channel.ts";
import {
  BODY_FOLLOWS,
  CHUNK_BYTES,
  Kind,
  type ToPrimary,
  type ToWorker,
  type WorkerId,
} from "../../runtime/channel/messages.ts";
import { parseToPrimary } from "../../runtime/channel/parse.ts";
import { BlockPool } from "../../runtime/bodies/block-pool.ts";
import { Dispatcher } from "../../runtime/dispatch/dispatcher.ts";
import type { Lane } from "../../runtime/dispatch/lane.ts";
import type { Spool } from "../../runtime/bodies/spool.ts";
import { SpoolFile } from "../../runtime/bodies/spool-file.ts";
import { Counters } from "../../runtime/observe/counters.ts";
import { TurnClock } from "../../runtime/lib/turn-clock.ts";
import { admit } from "./admit.ts";
import { FakeClient } from "./fake-client.ts";
import { createSpool, untilTurn } from "./spooling.ts";

const BODY = Buffer.alloc(300_000, "a");

const TO = {
  route: 0,
  params: null,
  url: "http://localhost/",
  bodyLimitBytes: 2 ** 20,
  timeoutMs: 0,
  buffering: { bodyBufferBytes: 100, bodyOverflow: "spool", responseOverflow: "spool" },
} as const;

/** A dispatcher with one worker. Its channel keeps all messages. */
function create(t: TestContext): {
  dispatcher: Dispatcher;
  lane: Lane;
  sent: ToWorker[];
  spool: Spool;
  logged: unknown[];
} {
  const logged: unknown[] = [];
  const log = pino({ level: "error" }, { write: (line) => logged.push(JSON.parse(line)) });
  const { spool } = createSpool(t);
  const dispatcher = new Dispatcher({
    log,
    clock: new TurnClock(),
    spool,
    blocks: new BlockPool(),
    responseCreditBytes: 2 * CHUNK_BYTES,
    workerConcurrency: 1,
    queueLimit: 10,
    queueTimeoutMs: 60_000,
    queueDelayMs: 0,
    counters: new Counters(),
    quarantineMs: 0,
    routes: { mayReplay: () => null, describe: ({ route }) => ({ route }) },
  });
  t.after(() => dispatcher.close("ERR_DRAINING"));
  return { dispatcher, ...attach(t, dispatcher, 1), spool, logged };
}

function attach(
  t: TestContext,
  dispatcher: Dispatcher,
  workerId: number,
): { lane: Lane; sent: ToWorker[] } {
  const channel = new Channel<ToPrimary, ToWorker>(new Socket(), {
    maxFrameBytes: 1024,
    parse: parseToPrimary,
    onMessage: () => {},
    onClose: () => {},
  });
  const sent: ToWorker[] = [];
  t.mock.method(channel, "send", (message: ToWorker) => void sent.push(message));
  return { lane: dispatcher.attach(workerId as WorkerId, channel), sent };
}

describe("Dispatcher with a spool", { timeout: 60_000 }, () => {
  it("sends a request to a worker once its body is on disk, and others meanwhile", async (t) => {
    const { dispatcher, lane, sent, spool } = create(t);
    const [upload, quick] = [new FakeClient(1, { bodyBytes: BODY.length }), new FakeClient(2)];
    admit(dispatcher, upload, TO, spool);
    upload.sendChunk(BODY.subarray(1));
    admit(dispatcher, quick, TO, spool);
    assert.deepEqual([sent.length, sent[0]?.[1]], [1, 2]);
    dispatcher.receiverOf(lane)([Kind.response, quick.id, 200, "", "", null]);
    upload.sendBody(BODY.subarray(0, 1));
    await untilTurn(() => sent.length > 1);
    assert.deepEqual([sent[1]?.[0], sent[1]?.at(-1)], [Kind.request, BODY_FOLLOWS]);
    await untilTurn(() => sent.length > 2);
    dispatcher.receiverOf(lane)([Kind.response, upload.id, 200, "", "", null]);
    await untilTurn(() => spool.usage.files === 0);
    assert.deepEqual(dispatcher.load, { queued: 0, inFlight: 0 });
  });

  it("answers 507, aborts in the worker, and frees its place when a body cannot be read", async (t) => {
    const { dispatcher, sent, spool, logged } = create(t);
    t.mock.method(SpoolFile.prototype, "read", () => Promise.reject(new Error("EIO")));
    const upload = new FakeClient(1, { bodyBytes: BODY.length });
    admit(dispatcher, upload, TO, spool);
    upload.sendBody(BODY);
    await dispatcher.idle();
    assert.deepEqual(upload.outcomes, [
      { kind: "refused", status: 507, retryAfterSeconds: undefined },
    ]);
    assert.deepEqual(sent.at(-1), [Kind.abort, 1, "client-left"]);
    assert.match(JSON.stringify(logged), /ERR_SPOOL.*EIO|EIO.*ERR_SPOOL/);
    await untilTurn(() => spool.usage.files === 0);
  });

  it("sends a body again from its first byte when its worker is lost half-way", async (t) => {
    const { dispatcher, lane, sent, spool } = create(t);
    const upload = new FakeClient(1, { bodyBytes: BODY.length, method: "PUT" });
    admit(dispatcher, upload, TO, spool);
    upload.sendBody(BODY);
    await untilTurn(() => sent.length > 2);
    const loss = { code: "ERR_WORKER_EXITED", ownDoing: false } as const;
    assert.deepEqual(dispatcher.detach(lane, loss), { failed: 0, replayed: 1, firstFailed: null });
    const next = attach(t, dispatcher, 2);
    assert.deepEqual(next.sent[0], sent[0]);
    dispatcher.receiverOf(next.lane)([Kind.requestCredit, upload.id, BODY.length]);
    await untilTurn(() => next.sent.at(-1)?.[0] === Kind.requestEnd);
    const chunks = next.sent.flatMap((each) => (each[0] === Kind.requestChunk ? [each[2]] : []));
    assert.ok(Buffer.concat(chunks).equals(BODY));
    dispatcher.receiverOf(next.lane)([Kind.response, upload.id, 200, "", "", null]);
    await untilTurn(() => spool.usage.files === 0);
  });

  it("keeps no request on disk once its response streams", async (t) => {
    const { dispatcher, lane, sent, spool } = create(t);
    const upload = new FakeClient(1, { bodyBytes: BODY.length });
    admit(dispatcher, upload, TO, spool);
    upload.sendBody(BODY);
    await untilTurn(() => sent.length > 2);
    dispatcher.receiverOf(lane)([Kind.requestCredit, upload.id, BODY.length]);
    await untilTurn(() => sent.at(-1)?.[0] === Kind.requestEnd);
    assert.equal(spool.usage.files, 1);
    dispatcher.receiverOf(lane)([Kind.response, upload.id, 200, "", "", BODY_FOLLOWS]);
    await untilTurn(() => spool.usage.files === 0);
    assert.deepEqual(dispatcher.load, { queued: 0, inFlight: 1 });
  });

  it("frees the worker while the client still reads the response from disk", async (t) => {
    const { dispatcher, lane, sent, spool } = create(t);
    const client = new FakeClient(1);
    admit(dispatcher, client, TO, spool);
    dispatcher.receiverOf(lane)([Kind.response, client.id, 200, "", "", BODY_FOLLOWS]);
    client.streamed.stall();
    for (let number = 0; number < 10; number++) {
      const credits = (): number => sent.filter(([kind]) => kind === Kind.responseCredit).length;
      if (number >= 2) await untilTurn(() => credits() >= number - 1);
      const chunk = Buffer.alloc(CHUNK_BYTES, number);
      dispatcher.receiverOf(lane)([Kind.responseChunk, client.id, chunk]);
    }
    dispatcher.receiverOf(lane)([Kind.responseEnd, client.id]);
    await dispatcher.idle();
    dispatcher.detach(lane, { code: "ERR_WORKER_EXITED", ownDoing: false });
    assert.equal(client.streamed.end, "open");
    await untilTurn(() => {
      client.streamed.read();
      return client.streamed.end === "complete";
    });
    const expected = Array.from({ length: 10 }, (_, number) => Buffer.alloc(CHUNK_BYTES, number));
    assert.ok(client.streamed.taken.equals(Buffer.concat(expected)));
    await untilTurn(() => spool.usage.files === 0);
  });
});
