import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import pino from "pino";
import { Channel } from "../../runtime/channel/channel.ts";
import {
  Kind,
  type RequestMessage,
  type ResponseMessage,
  type ToPrimary,
  type ToWorker,
  type WorkerId,
} from "../../runtime/channel/messages.ts";
import { parseToPrimary, parseToWorker } from "../../runtime/channel/parse.ts";
import { Dispatcher, type DispatcherOptions } from "../../runtime/dispatch/dispatcher.ts";
import type { Lane } from "../../runtime/dispatch/lane.ts";
import { openSocketPair } from "../helpers/socket-pair.ts";
import { FakeClient } from "./fake-client.ts";

const LIMITS = {
  workerConcurrency: 2,
  queueLimit: 3,
  queueTimeoutMs: 1_000,
} as const;

const TO = {
  route: 0,
  params: null,
  url: "http://localhost/",
  bodyLimitBytes: 100,
  timeoutMs: 5_000,
} as const;

/** A worker at the other end of a real channel, which answers when the test says so. */
class FakeWorker {
  readonly lane: Lane;
  readonly received: ToWorker[] = [];
  readonly #channel: Channel<ToWorker, ToPrimary>;
  #wake: () => void = () => {};

  private constructor(lane: Lane, channel: Channel<ToWorker, ToPrimary>, received: ToWorker[]) {
    this.lane = lane;
    this.#channel = channel;
    this.received = received;
  }

  static async attach(
    t: TestContext,
    dispatcher: Dispatcher,
    workerId: number,
  ): Promise<FakeWorker> {
    const [near, far] = await openSocketPair(t);
    const received: ToWorker[] = [];
    const primaryEnd = new Channel<ToPrimary, ToWorker>(near, {
      maxFrameBytes: 1024 * 1024,
      parse: parseToPrimary,
      onMessage: (message) => {
        // The workers of this file send nothing else.
        dispatcher.receive(worker.lane, message as ResponseMessage);
      },
      onClose: () => {
        dispatcher.detach(worker.lane, "ERR_WORKER_EXITED");
      },
    });
    const workerEnd = new Channel<ToWorker, ToPrimary>(far, {
      maxFrameBytes: 1024 * 1024,
      parse: parseToWorker,
      onMessage: (message) => {
        received.push(message);
        worker.#wake();
      },
      onClose: () => {},
    });
    const lane = dispatcher.attach(workerId as WorkerId, primaryEnd);
    const worker: FakeWorker = new FakeWorker(lane, workerEnd, received);
    return worker;
  }

  async until(count: number): Promise<ToWorker[]> {
    while (this.received.length < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.received;
  }

  answer(client: FakeClient, body = `for ${client.id}`): void {
    this.#channel.send([Kind.response, client.id, 200, "", "a\nb", body]);
  }

  exit(): void {
    this.#channel.close();
  }
}

function createDispatcher(t: TestContext, options: Partial<DispatcherOptions> = {}): Dispatcher {
  const log = pino({ level: "silent" });
  const dispatcher = new Dispatcher({ ...LIMITS, log, ...options });
  t.after(() => dispatcher.close("ERR_DRAINING"));
  return dispatcher;
}

function admit(dispatcher: Dispatcher, clients: readonly FakeClient[]): void {
  for (const client of clients) dispatcher.admit(client, TO);
}

function createClients(count: number): FakeClient[] {
  return Array.from({ length: count }, (_, index) => new FakeClient(index + 1));
}

function kindsOf(clients: readonly FakeClient[]): string[] {
  return clients.map(({ outcomes }) =>
    outcomes
      .map((outcome) => (outcome.kind === "refused" ? String(outcome.status) : outcome.kind))
      .join("+"),
  );
}

/** Timers that only move when told; `tick` also moves the clock that ages are measured on. */
function mockTime(t: TestContext): { tick: (ms: number) => void } {
  let nowMs = 1_000;
  t.mock.method(performance, "now", () => nowMs);
  t.mock.timers.enable({ apis: ["setInterval"] });
  return {
    tick(ms) {
      nowMs += ms;
      t.mock.timers.tick(ms);
    },
  };
}

describe("Dispatcher", { timeout: 10_000 }, () => {
  it("sends a worker all that it must know, and the client its answer", async (t) => {
    const dispatcher = createDispatcher(t);
    const worker = await FakeWorker.attach(t, dispatcher, 7);
    const client = new FakeClient(41, { method: "POST", bodyBytes: null });
    const params = { id: "x" };
    const url = "http://localhost/41?q";
    dispatcher.admit(client, { ...TO, route: -2, params, url, bodyLimitBytes: 9 });
    assert.equal(client.bodyLimitBytes, 9);
    assert.deepEqual(dispatcher.load, { queued: 0, inFlight: 0 });
    client.sendBody(Buffer.from([1, 2, 3]));
    assert.deepEqual(dispatcher.load, { queued: 0, inFlight: 1 });
    assert.equal(client.workerId, 7);
    const [message] = (await worker.until(1)) as [RequestMessage];
    const { fields, clientAddress } = client.head;
    const expected = [Kind.request, 41, -2, params, "POST", "http://localhost/41?q", fields];
    assert.deepEqual([...message], [...expected, clientAddress, Buffer.from([1, 2, 3])]);
    const idle = dispatcher.idle();
    worker.answer(client, "done");
    await idle;
    const response = { status: 200, statusText: "", fields: "a\nb", body: "done" };
    assert.deepEqual(client.outcomes, [{ kind: "answered", response }]);
    assert.deepEqual(dispatcher.load, { queued: 0, inFlight: 0 });
  });

  it("spreads exchanges, queues above the cap, and refuses above the queue's limit", async (t) => {
    const dispatcher = createDispatcher(t);
    const workers = [
      await FakeWorker.attach(t, dispatcher, 1),
      await FakeWorker.attach(t, dispatcher, 2),
    ];
    const clients = createClients(9);
    admit(dispatcher, clients);
    assert.deepEqual(
      clients.map(({ workerId }) => workerId),
      [1, 2, 1, 2, null, null, null, null, null],
    );
    assert.deepEqual(dispatcher.load, { queued: 3, inFlight: 4 });
    assert.deepEqual(kindsOf(clients), ["", "", "", "", "", "", "", "503", "503"]);
    assert.deepEqual(clients[8]?.outcomes[0], {
      kind: "refused",
      status: 503,
      retryAfterSeconds: 1,
    });
    const idle = dispatcher.idle();
    const served = clients.slice(0, 7);
    for (const worker of workers) {
      const answered = new Set<unknown>();
      const answerAll = (): void => {
        for (const [kind, id] of worker.received) {
          const client = served.find((candidate) => candidate.id === id);
          if (kind !== Kind.request || client === undefined || answered.has(id)) continue;
          answered.add(id);
          worker.answer(client);
        }
      };
      void (async () => {
        for (let count = 1; ; count++) {
          await worker.until(count);
          answerAll();
        }
      })();
    }
    await idle;
    for (const { id, outcomes } of served) {
      const [outcome] = outcomes;
      assert.equal(outcome?.kind === "answered" && outcome.response.body, `for ${id}`);
    }
  });

  it("holds exchanges until a worker is ready, and gives them out in order", async (t) => {
    const dispatcher = createDispatcher(t, { workerConcurrency: 10 });
    const clients = createClients(3);
    admit(dispatcher, clients);
    assert.deepEqual(dispatcher.load, { queued: 3, inFlight: 0 });
    const worker = await FakeWorker.attach(t, dispatcher, 1);
    const messages = await worker.until(3);
    assert.deepEqual(
      messages.map(([, id]) => id),
      [1, 2, 3],
    );
  });

  it("fails only what a lost worker had, each once, and goes on with the others", async (t) => {
    const dispatcher = createDispatcher(t);
    const lost = await FakeWorker.attach(t, dispatcher, 1);
    const kept = await FakeWorker.attach(t, dispatcher, 2);
    const clients = createClients(6);
    admit(dispatcher, clients);
    assert.equal(dispatcher.detach(lost.lane, "ERR_WORKER_EXITED"), 2);
    assert.equal(dispatcher.detach(lost.lane, "ERR_WORKER_EXITED"), 0);
    assert.deepEqual(kindsOf(clients), ["502", "", "502", "", "", ""]);
    assert.deepEqual(dispatcher.load, { queued: 2, inFlight: 2 });
    const next = await FakeWorker.attach(t, dispatcher, 3);
    assert.deepEqual(dispatcher.load, { queued: 0, inFlight: 4 });
    const idle = dispatcher.idle();
    await next.until(2);
    for (const client of clients) (client.workerId === 3 ? next : kept).answer(client);
    await idle;
    assert.deepEqual(kindsOf(clients), [
      "502",
      "answered",
      "502",
      "answered",
      "answered",
      "answered",
    ]);
  });

  it("gives a retired worker nothing new and takes its answers", async (t) => {
    const dispatcher = createDispatcher(t);
    const worker = await FakeWorker.attach(t, dispatcher, 1);
    const [first, second] = createClients(2) as [FakeClient, FakeClient];
    dispatcher.admit(first, TO);
    dispatcher.retire(worker.lane);
    dispatcher.admit(second, TO);
    assert.deepEqual(dispatcher.load, { queued: 1, inFlight: 1 });
    await worker.until(1);
    worker.answer(first);
    const other = await FakeWorker.attach(t, dispatcher, 2);
    await other.until(1);
    const idle = dispatcher.idle();
    other.answer(second);
    await idle;
    assert.deepEqual(kindsOf([first, second]), ["answered", "answered"]);
    assert.deepEqual([first.workerId, second.workerId], [1, 2]);
  });

  it("tells the worker that the client left, frees its place, and drops the late answer", async (t) => {
    const dispatcher = createDispatcher(t, { workerConcurrency: 1 });
    const worker = await FakeWorker.attach(t, dispatcher, 1);
    const [leaver, waiting] = createClients(2) as [FakeClient, FakeClient];
    admit(dispatcher, [leaver, waiting]);
    leaver.leave();
    const [, abort, request] = await worker.until(3);
    assert.deepEqual(abort, [Kind.abort, 1, "client-left"]);
    assert.deepEqual(request?.slice(0, 2), [Kind.request, 2]);
    const idle = dispatcher.idle();
    worker.answer(leaver);
    worker.answer(waiting);
    await idle;
    assert.deepEqual(kindsOf([leaver, waiting]), ["left", "answered"]);
  });

  it("forgets a queued exchange whose client left, without a word to any worker", async (t) => {
    const dispatcher = createDispatcher(t, { workerConcurrency: 1 });
    const worker = await FakeWorker.attach(t, dispatcher, 1);
    const [first, leaver, last] = createClients(3) as [FakeClient, FakeClient, FakeClient];
    admit(dispatcher, [first, leaver, last]);
    leaver.leave();
    assert.deepEqual(dispatcher.load, { queued: 1, inFlight: 1 });
    worker.answer(first);
    const messages = await worker.until(2);
    assert.deepEqual(
      messages.map((message) => message.slice(0, 2)),
      [
        [Kind.request, 1],
        [Kind.request, 3],
      ],
    );
  });

  it("answers 413 to a body over the limit, which no worker sees", async (t) => {
    const dispatcher = createDispatcher(t);
    const worker = await FakeWorker.attach(t, dispatcher, 1);
    const client = new FakeClient(1, { bodyBytes: 1_000 });
    dispatcher.admit(client, TO);
    client.sendBody("ERR_BODY_TOO_LARGE");
    assert.deepEqual(kindsOf([client]), ["413"]);
    await dispatcher.idle();
    assert.deepEqual(worker.received, []);
  });

  it("refuses with 503 what has waited too long, oldest first", (t) => {
    const time = mockTime(t);
    const dispatcher = createDispatcher(t);
    const [first, second] = createClients(2) as [FakeClient, FakeClient];
    dispatcher.admit(first, TO);
    time.tick(500);
    dispatcher.admit(second, TO);
    time.tick(500);
    assert.deepEqual(kindsOf([first, second]), ["", ""]);
    time.tick(250);
    assert.deepEqual(kindsOf([first, second]), ["503", ""]);
    time.tick(500);
    assert.deepEqual(kindsOf([first, second]), ["503", "503"]);
    assert.deepEqual(dispatcher.load, { queued: 0, inFlight: 0 });
  });

  it("lets a handler without a timeout take its time", async (t) => {
    const time = mockTime(t);
    const dispatcher = createDispatcher(t);
    const worker = await FakeWorker.attach(t, dispatcher, 1);
    const [patient, other] = createClients(2) as [FakeClient, FakeClient];
    dispatcher.admit(patient, { ...TO, timeoutMs: 0 });
    dispatcher.admit(other, TO);
    time.tick(24 * 3_600_000);
    assert.deepEqual(kindsOf([patient, other]), ["", "504"]);
    await worker.until(3);
    const idle = dispatcher.idle();
    worker.answer(patient);
    await idle;
    assert.deepEqual(kindsOf([patient]), ["answered"]);
  });

  it("answers 504 past the request's timeout, tells the worker, and uses the free place", async (t) => {
    const time = mockTime(t);
    const dispatcher = createDispatcher(t, { workerConcurrency: 1, queueTimeoutMs: 60_000 });
    const worker = await FakeWorker.attach(t, dispatcher, 1);
    const [slow, waiting] = createClients(2) as [FakeClient, FakeClient];
    admit(dispatcher, [slow, waiting]);
    time.tick(5_000);
    assert.deepEqual(kindsOf([slow, waiting]), ["", ""]);
    time.tick(250);
    assert.deepEqual(kindsOf([slow, waiting]), ["504", ""]);
    const [, abort, request] = await worker.until(3);
    assert.deepEqual(abort, [Kind.abort, 1, "deadline"]);
    assert.equal(request?.[1], 2);
    // Its time counts from its own dispatch.
    time.tick(4_750);
    assert.deepEqual(kindsOf([waiting]), [""]);
    const idle = dispatcher.idle();
    worker.answer(waiting);
    await idle;
    assert.deepEqual(kindsOf([slow, waiting]), ["504", "answered"]);
  });

  it("breaks off a worker that announces a body in chunks", async (t) => {
    const dispatcher = createDispatcher(t);
    const worker = await FakeWorker.attach(t, dispatcher, 1);
    const client = new FakeClient(1);
    dispatcher.admit(client, TO);
    assert.throws(
      () => dispatcher.receive(worker.lane, [Kind.response, client.id, 200, "", "", true]),
      { code: "ERR_PROTOCOL" },
    );
    // Whoever owns the channel breaks it now.
    dispatcher.detach(worker.lane, "ERR_PROTOCOL");
    assert.deepEqual(kindsOf([client]), ["502"]);
  });

  it("fails what a worker has whose channel breaks", async (t) => {
    const dispatcher = createDispatcher(t);
    const worker = await FakeWorker.attach(t, dispatcher, 1);
    const client = new FakeClient(1);
    dispatcher.admit(client, TO);
    await worker.until(1);
    const idle = dispatcher.idle();
    worker.exit();
    await idle;
    assert.deepEqual(kindsOf([client]), ["502"]);
  });

  it("fails all that is left when it is closed", async (t) => {
    const dispatcher = createDispatcher(t, { workerConcurrency: 1 });
    await FakeWorker.attach(t, dispatcher, 1);
    const clients = createClients(3);
    admit(dispatcher, clients);
    dispatcher.close("ERR_DRAINING");
    assert.deepEqual(kindsOf(clients), ["503", "503", "503"]);
    await dispatcher.idle();
  });

  it("answers a request whose body is complete only after it was closed", async (t) => {
    const dispatcher = createDispatcher(t);
    await FakeWorker.attach(t, dispatcher, 1);
    const client = new FakeClient(1, { bodyBytes: 10 });
    dispatcher.admit(client, TO);
    dispatcher.close("ERR_DRAINING");
    client.sendBody(Buffer.alloc(10));
    assert.deepEqual(kindsOf([client]), ["503"]);
    await dispatcher.idle();
  });

  it("tells everybody who waits that it is idle", async (t) => {
    const dispatcher = createDispatcher(t);
    const client = new FakeClient(1);
    dispatcher.admit(client, TO);
    const waits = [dispatcher.idle(), dispatcher.idle()];
    client.leave();
    await Promise.all(waits);
    await dispatcher.idle();
  });
});
