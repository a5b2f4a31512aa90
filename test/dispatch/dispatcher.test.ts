import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { describe, it, type TestContext } from "node:test";
import pino from "pino";
import { Channel } from "../../runtime/channel/channel.ts";
import {
  BODY_FOLLOWS,
  CHUNK_BYTES,
  Kind,
  REQUEST_CREDIT_BYTES,
  type ExchangeId,
  type ExchangeMessage,
  type HandedFile,
  type RequestMessage,
  type ToPrimary,
  type ToWorker,
  type WorkerId,
} from "../../runtime/channel/messages.ts";
import { parseToPrimary } from "../../runtime/channel/parse.ts";
import { parseToWorker } from "../../runtime/channel/parse-to-worker.ts";
import { BytesSource } from "../../runtime/bodies/body-sources.ts";
import { ByteBudget } from "../../runtime/bodies/byte-budget.ts";
import { BlockPool } from "../../runtime/bodies/block-pool.ts";
import { Dispatcher, type DispatcherOptions } from "../../runtime/dispatch/dispatcher.ts";
import type { Exchange } from "../../runtime/dispatch/exchange.ts";
import type { Lane } from "../../runtime/dispatch/lane.ts";
import type { BodySource, Client } from "../../runtime/http/client.ts";
import type { FileSender, FoundFile, NamedFile } from "../../runtime/http/file-sender.ts";
import type { StandIn, StandInAnswer } from "../../runtime/http/stand-in.ts";
import { parseTarget, type ParsedTarget } from "../../runtime/http/target-path.ts";
import { runFinishing } from "../../runtime/http/when-finished.ts";
import { Counters } from "../../runtime/observe/counters.ts";
import { TurnClock } from "../../runtime/lib/turn-clock.ts";
import { openSocketPair } from "../helpers/socket-pair.ts";
import { admit } from "./admit.ts";
import { FakeClient } from "./fake-client.ts";
import { NO_SPOOL } from "./spooling.ts";

const LIMITS = {
  workerConcurrency: 2,
  queueLimit: 3,
  queueTimeoutMs: 1_000,
  queueDelayMs: 0,
  blocks: new BlockPool(),
  spool: NO_SPOOL,
  responseCreditBytes: 1_000,
  quarantineMs: 0,
  routes: { mayReplay: () => null, describe: ({ id }: Exchange) => ({ id }) },
} as const;

/** How a worker was lost. */
const KILLED = { code: "ERR_WORKER_EXITED", ownDoing: false } as const;

const TO = {
  route: 0,
  params: null,
  url: "http://localhost/",
  bodyLimitBytes: 1024 * 1024,
  timeoutMs: 5_000,
  buffering: { bodyBufferBytes: 100, bodyOverflow: "stream", responseOverflow: "wait" },
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
    options: { threads?: number; pid?: number } = {},
  ): Promise<FakeWorker> {
    const [near, far] = await openSocketPair(t);
    const received: ToWorker[] = [];
    const primaryEnd = new Channel<ToPrimary, ToWorker>(near, {
      maxFrameBytes: 1024 * 1024,
      parse: parseToPrimary,
      onMessage: (message) => {
        // The workers of this file send nothing else.
        dispatcher.receiverOf(worker.lane)(message as ExchangeMessage);
      },
      onClose: () => {
        dispatcher.detach(worker.lane, KILLED);
      },
    });
    const workerEnd = new Channel<ToWorker, ToPrimary>(far, {
      maxFrameBytes: 1024 * 1024,
      parse: parseToWorker,
      onMessage: (message) => {
        received.push(toKept(message));
        // A real worker confirms the abort too, so that its place is free.
        if (message[0] === Kind.abort) workerEnd.send([Kind.settled, message[1]]);
        worker.#wake();
      },
      onClose: () => {},
    });
    t.after(() => workerEnd.close());
    const lane = dispatcher.attach(workerId as WorkerId, primaryEnd, options);
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

  say(message: ExchangeMessage): void {
    this.#channel.send(message);
  }

  exit(): void {
    this.#channel.close();
  }
}

const FILE: HandedFile = { fd: 5, device: 1, inode: 2, start: 0, lengthBytes: 5 };

/** Opens files when the test says so. */
class FakeFiles implements FileSender {
  readonly opened: [pid: number, file: HandedFile][] = [];
  readonly named: NamedFile[] = [];
  #settle: (body: BodySource | null) => void = () => {};
  #wake: () => void = () => {};

  openHanded(pid: number, file: HandedFile): Promise<BodySource | null> {
    this.opened.push([pid, file]);
    this.#wake();
    return new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  answerWith(_: Client, file: NamedFile): void {
    this.named.push(file);
  }

  /** Resolves when the next file is to be opened. */
  asked(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  async settle(body: BodySource | null): Promise<void> {
    this.#settle(body);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const TARGET = parseTarget("/1") as ParsedTarget;

/** Answers with a description of the request, or never. */
class FakeStandIn implements StandIn {
  readonly namesFor = (): string[] => ["proxy"];
  /** The requests whose clients left. */
  readonly left: number[] = [];
  readonly #answers: boolean;
  readonly #gate = new EventEmitter();
  readonly answered = once(this.#gate, "answered");

  constructor({ answers = true } = {}) {
    this.#answers = answers;
  }

  answer(client: Client): StandInAnswer {
    const { head } = client;
    const say = (body: string): void => {
      const text = `stand-in for ${head.method} ${head.target}, ${body}`;
      client.reply({ status: 200, statusText: "", fields: "", body: text, lengthBytes: null });
      this.#gate.emit("answered");
    };
    const answer = (): void => {
      client.onAbort(() => this.left.push(client.id));
      if (!this.#answers) return;
      if (head.bodyBytes === 0) {
        say("no body");
        return;
      }
      const pieces: Buffer[] = [];
      client.receiveBody({
        chunk: (bytes) => pieces.push(Buffer.from(bytes)),
        end: () => say(Buffer.concat(pieces).toString()),
      });
    };
    return { by: "proxy", outcome: { answer } };
  }
}

const answerFound: FoundFile["answer"] = (client, { status, fields }) =>
  client.reply({ status, statusText: "", fields, body: "file", lengthBytes: null });

const NO_STAND_IN: StandIn = { namesFor: () => ["files"], answer: () => null };

function answersOf({ outcomes }: FakeClient): unknown[] {
  return outcomes.map((outcome) =>
    outcome.kind === "answered" ? String(outcome.response.body) : outcome.kind,
  );
}

/** Lends the bytes. */
function toKept(message: ToWorker): ToWorker {
  if (message[0] !== Kind.requestChunk) return message;
  return [Kind.requestChunk, message[1], Buffer.from(message[2])];
}

function createDispatcher(t: TestContext, options: Partial<DispatcherOptions> = {}): Dispatcher {
  const log = pino({ level: "silent" });
  const clock = new TurnClock();
  // With mocked time many moments fall into one turn.
  t.mock.method(clock, "now", () => performance.now());
  const dispatcher = new Dispatcher({
    ...LIMITS,
    log,
    clock,
    counters: new Counters(),
    ...options,
  });
  t.after(() => dispatcher.close("ERR_DRAINING"));
  return dispatcher;
}

function admitAll(dispatcher: Dispatcher, clients: readonly FakeClient[]): void {
  for (const client of clients) admit(dispatcher, client, TO);
}

function createClients(count: number, method = "GET"): FakeClient[] {
  return Array.from({ length: count }, (_, index) => new FakeClient(index + 1, { method }));
}

function chunksOf(messages: readonly ToWorker[]): Uint8Array[] {
  return messages.flatMap((message) => (message[0] === Kind.requestChunk ? [message[2]] : []));
}

function kindsOf(clients: readonly FakeClient[]): string[] {
  return clients.map(({ outcomes }) =>
    outcomes
      .map((outcome) => (outcome.kind === "refused" ? String(outcome.status) : outcome.kind))
      .join("+"),
  );
}

/** Timers that advance with `tick` only, together with the clock for ages. */
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

describe("Dispatcher", { timeout: 60_000 }, () => {
  it("sends the worker the whole request, and the client its answer", async (t) => {
    const dispatcher = createDispatcher(t);
    const worker = await FakeWorker.attach(t, dispatcher, 7);
    const client = new FakeClient(41, { method: "POST", bodyBytes: null });
    const params = { id: "x" };
    const url = "http://localhost/41?q";
    admit(dispatcher, client, { ...TO, route: -2, params, url, bodyLimitBytes: 9 });
    assert.deepEqual(dispatcher.load, { queued: 0, inFlight: 0 });
    client.sendBody(Buffer.from([1, 2, 3]));
    assert.deepEqual(dispatcher.load, { queued: 0, inFlight: 1 });
    assert.equal(client.workerId, 7);
    const [message] = (await worker.until(1)) as [RequestMessage];
    const { fields, clientAddress } = client.head;
    const expected = [Kind.request, 41, -2, params, "POST", "http://localhost/41?q", fields];
    assert.deepEqual(
      [...message],
      [...expected, clientAddress, TO.timeoutMs, Buffer.from([1, 2, 3])],
    );
    const idle = dispatcher.idle();
    worker.answer(client, "done");
    await idle;
    const response = {
      status: 200,
      statusText: "",
      fields: "a\nb",
      body: "done",
      lengthBytes: null,
    };
    assert.deepEqual(client.outcomes, [{ kind: "answered", response }]);
    assert.deepEqual(dispatcher.load, { queued: 0, inFlight: 0 });
  });

  it("tells the worker the protocol of a client, and the TLS that its engine knows", async (t) => {
    const dispatcher = createDispatcher(t);
    const worker = await FakeWorker.attach(t, dispatcher, 1, { threads: 9 });
    const found = { status: 200, fields: "a\n1", answer: answerFound };
    const cases = [
      [{}, TO, 10],
      [{ protocol: "HTTP/2.0" }, TO, [null, 0, "HTTP/2.0"]],
      [{ protocol: "HTTP/1.0" }, { ...TO, found }, [[200, "a\n1"], 0, "HTTP/1.0"]],
      [{ protocol: "HTTP/2.0" }, { ...TO, callDepth: 3 }, [null, 3, "HTTP/2.0"]],
      [{ tls: 4 }, TO, [null, 0, null, 4]],
      [{ protocol: "HTTP/2.0", tls: 4 }, { ...TO, found }, [[200, "a\n1"], 0, "HTTP/2.0", 4]],
    ] as const;
    for (const [at, [head, request, expected]] of cases.entries()) {
      const client = new FakeClient(at + 1);
      Object.assign(client.head, head);
      admit(dispatcher, client, request);
      const message = (await worker.until(at + 1))[at] as RequestMessage;
      if (typeof expected === "number") assert.equal(message.length, expected);
      else assert.deepEqual(message.slice(10), expected);
      worker.answer(client);
    }
  });

  it("sends a file that the worker has open, once it has opened it", async (t) => {
    const files = new FakeFiles();
    const dispatcher = createDispatcher(t, { files });
    const worker = await FakeWorker.attach(t, dispatcher, 1, { threads: 1, pid: 77 });
    const [taken, refused, left] = createClients(3);
    assert.ok(taken !== undefined && refused !== undefined && left !== undefined);
    const hand = async ({ id }: FakeClient, count: number): Promise<void> => {
      await worker.until(count);
      worker.say([Kind.responseFile, id, 200, "", "a\nb", FILE]);
      await files.asked();
    };
    admit(dispatcher, taken, TO);
    await hand(taken, 1);
    assert.deepEqual(files.opened, [[77, FILE]]);
    assert.equal(dispatcher.load.inFlight, 1, "the thread is busy until the file is open");
    await files.settle(new BytesSource(Buffer.from("bytes")));
    assert.equal(taken.streamed.taken.toString(), "bytes");
    assert.equal(dispatcher.load.inFlight, 0);
    assert.deepEqual((await worker.until(2))[1], [Kind.fileTaken, taken.id, true]);

    admit(dispatcher, refused, TO);
    await hand(refused, 3);
    await files.settle(null);
    assert.deepEqual((await worker.until(4))[3], [Kind.fileTaken, refused.id, false]);
    const idle = dispatcher.idle();
    worker.answer(refused);
    await idle;
    assert.deepEqual(kindsOf([taken, refused]), ["streamed", "answered"]);

    admit(dispatcher, left, TO);
    await hand(left, 5);
    left.leave();
    const late = new BytesSource(Buffer.from("late"));
    await files.settle(late);
    assert.equal(late.state, "ended", "the file is closed");
    assert.deepEqual((await worker.until(6))[5], [Kind.abort, left.id, "client-left"]);
  });

  describe("a request whose handler failed after passThroughOnException()", () => {
    it("is answered by the stand-in of its site", async (t) => {
      const dispatcher = createDispatcher(t);
      const worker = await FakeWorker.attach(t, dispatcher, 1);
      const [client] = createClients(1);
      assert.ok(client !== undefined);
      const standIn = new FakeStandIn();
      admit(dispatcher, client, { ...TO, standIn, target: TARGET });
      await worker.until(1);
      const idle = dispatcher.idle();
      worker.say([Kind.passOn, client.id]);
      // A worker that breaks the rule, and answers all the same.
      worker.answer(client);
      await idle;
      assert.deepEqual((await worker.until(2))[1], [Kind.passedOn, client.id, true]);
      assert.deepEqual(answersOf(client), ["stand-in for GET /1, no body"]);
      assert.equal(client.passedOn, true);
      assert.deepEqual(dispatcher.load, { queued: 0, inFlight: 0 });
    });

    it("is answered by the worker where nothing stands in", async (t) => {
      const dispatcher = createDispatcher(t);
      const worker = await FakeWorker.attach(t, dispatcher, 1);
      const clients = createClients(2);
      const [without, refused] = clients;
      assert.ok(without !== undefined && refused !== undefined);
      admit(dispatcher, without, TO);
      admit(dispatcher, refused, { ...TO, standIn: NO_STAND_IN, target: TARGET });
      await worker.until(2);
      const idle = dispatcher.idle();
      for (const client of clients) worker.say([Kind.passOn, client.id]);
      const answers = (await worker.until(4)).slice(2);
      assert.deepEqual(
        answers,
        clients.map(({ id }) => [Kind.passedOn, id, false]),
      );
      for (const client of clients) worker.answer(client);
      await idle;
      assert.deepEqual(kindsOf(clients), ["answered", "answered"]);
      assert.deepEqual(
        clients.map(({ passedOn }) => passedOn === true),
        [false, false],
      );
    });

    it("has its body again if it travelled whole, and cannot be repeated if it was streamed", async (t) => {
      const dispatcher = createDispatcher(t);
      const worker = await FakeWorker.attach(t, dispatcher, 1);
      const [whole, streamed] = [1, 2].map(
        (id) => new FakeClient(id, { method: "POST", bodyBytes: null }),
      );
      assert.ok(whole !== undefined && streamed !== undefined);
      const standIn = new FakeStandIn();
      const budget = new ByteBudget(1_000);
      const request = { ...TO, standIn, target: TARGET, budget };
      admit(dispatcher, whole, request);
      whole.sendBody(Buffer.from("small"));
      admit(dispatcher, streamed, request);
      streamed.sendChunk(Buffer.alloc(200, "x"));
      await worker.until(3);
      worker.say([Kind.passOn, whole.id]);
      worker.say([Kind.passOn, streamed.id]);
      const received = await worker.until(5);
      assert.deepEqual(received.slice(3), [
        [Kind.passedOn, whole.id, true],
        [Kind.passedOn, streamed.id, false],
      ]);
      await standIn.answered;
      assert.deepEqual(answersOf(whole), ["stand-in for POST /1, small"]);
      assert.deepEqual(streamed.outcomes, []);
      assert.deepEqual(dispatcher.load, { queued: 0, inFlight: 1 });
      assert.equal(budget.heldBytes, 5, "the stand-in has the body");
      runFinishing(whole);
      assert.equal(budget.heldBytes, 0);
    });

    it("is over for the stand-in when its client leaves, and for the worker when it has left before", async (t) => {
      const dispatcher = createDispatcher(t);
      const worker = await FakeWorker.attach(t, dispatcher, 1);
      const [early, late] = [1, 2].map(
        (id) => new FakeClient(id, { method: "PUT", bodyBytes: null }),
      );
      assert.ok(early !== undefined && late !== undefined);
      const standIn = new FakeStandIn({ answers: false });
      for (const client of [early, late]) {
        admit(dispatcher, client, { ...TO, standIn, target: TARGET });
        client.sendBody(Buffer.from("small"));
      }
      await worker.until(2);
      early.leave();
      worker.say([Kind.passOn, early.id]);
      worker.say([Kind.passOn, late.id]);
      const received = (await worker.until(5)).slice(2);
      assert.deepEqual(received, [
        [Kind.abort, early.id, "client-left"],
        [Kind.passedOn, early.id, true],
        [Kind.passedOn, late.id, true],
      ]);
      await dispatcher.idle();
      assert.deepEqual(standIn.left, []);
      late.leave();
      assert.deepEqual(standIn.left, [late.id]);
      assert.deepEqual(kindsOf([early, late]), ["left", "left"]);
    });

    it("is answered with the file that it has found, where middleware guards files", async (t) => {
      const dispatcher = createDispatcher(t);
      const worker = await FakeWorker.attach(t, dispatcher, 1);
      const [client] = createClients(1);
      assert.ok(client !== undefined);
      const found = { status: 200, fields: "etag\n1", answer: answerFound };
      admit(dispatcher, client, { ...TO, found, standIn: NO_STAND_IN, target: TARGET });
      await worker.until(1);
      const idle = dispatcher.idle();
      worker.say([Kind.passOn, client.id]);
      await idle;
      assert.deepEqual(answersOf(client), ["file"]);
    });
  });

  it("gives an exchange to another worker when the first one is lost while a file is opened", async (t) => {
    const files = new FakeFiles();
    const dispatcher = createDispatcher(t, { files });
    const first = await FakeWorker.attach(t, dispatcher, 1);
    const [client] = createClients(1);
    assert.ok(client !== undefined);
    admit(dispatcher, client, TO);
    await first.until(1);
    first.say([Kind.responseFile, client.id, 200, "", "", FILE]);
    await files.asked();
    const second = await FakeWorker.attach(t, dispatcher, 2);
    first.exit();
    await second.until(1);
    const late = new BytesSource(Buffer.from("late"));
    await files.settle(late);
    assert.equal(late.state, "ended");
    const idle = dispatcher.idle();
    second.answer(client);
    await idle;
    assert.deepEqual(kindsOf([client]), ["answered"]);
  });

  it("sends a file that a handler names without the worker", async (t) => {
    const files = new FakeFiles();
    const dispatcher = createDispatcher(t, { files });
    const worker = await FakeWorker.attach(t, dispatcher, 1);
    const [client] = createClients(1);
    assert.ok(client !== undefined);
    admit(dispatcher, client, TO);
    await worker.until(1);
    const idle = dispatcher.idle();
    worker.say([Kind.responsePath, client.id, 200, "", "a\nb", "/srv/a.txt"]);
    await idle;
    assert.deepEqual(files.named, [
      { path: "/srv/a.txt", status: 200, statusText: "", fields: "a\nb" },
    ]);
    assert.equal(dispatcher.load.inFlight, 0);
    // The exchange is over: leaving must not end it a second time.
    client.leave();
    assert.deepEqual(kindsOf([client]), ["left"]);
  });

  it("spreads exchanges, queues above the cap, and refuses above the queue's limit", async (t) => {
    const dispatcher = createDispatcher(t);
    const workers = [
      await FakeWorker.attach(t, dispatcher, 1),
      await FakeWorker.attach(t, dispatcher, 2),
    ];
    const clients = createClients(9);
    admitAll(dispatcher, clients);
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

  it("holds exchanges until a worker is ready, and dispatches them in order", async (t) => {
    const dispatcher = createDispatcher(t, { workerConcurrency: 10 });
    const clients = createClients(3);
    admitAll(dispatcher, clients);
    assert.deepEqual(dispatcher.load, { queued: 3, inFlight: 0 });
    const worker = await FakeWorker.attach(t, dispatcher, 1);
    const messages = await worker.until(3);
    assert.deepEqual(
      messages.map(([, id]) => id),
      [1, 2, 3],
    );
  });

  it("fails only the exchanges of a lost worker, each once", async (t) => {
    const dispatcher = createDispatcher(t);
    const lost = await FakeWorker.attach(t, dispatcher, 1);
    const kept = await FakeWorker.attach(t, dispatcher, 2);
    const clients = createClients(6, "POST");
    admitAll(dispatcher, clients);
    const { failed, replayed, firstFailed } = dispatcher.detach(lost.lane, KILLED);
    assert.deepEqual([failed, replayed, firstFailed?.id], [2, 0, clients[0]?.id]);
    assert.deepEqual(dispatcher.detach(lost.lane, KILLED), {
      failed: 0,
      replayed: 0,
      firstFailed: null,
    });
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

  it("gives a worker with threads as many exchanges as it has, and queues the rest", async (t) => {
    const dispatcher = createDispatcher(t);
    await FakeWorker.attach(t, dispatcher, 1, { threads: 1 });
    admitAll(dispatcher, createClients(3));
    assert.deepEqual(dispatcher.load, { queued: 2, inFlight: 1 });
  });

  it("gives a quick worker with threads harmless exchanges in advance, and no others", async (t) => {
    const dispatcher = createDispatcher(t, { queueLimit: 1_000 });
    const worker = await FakeWorker.attach(t, dispatcher, 1, { threads: 1 });
    t.mock.method(performance, "now", () => 1_000);
    const quick = createClients(100);
    for (const [number, client] of quick.entries()) {
      admit(dispatcher, client, TO);
      await worker.until(number + 1);
      const answered = dispatcher.idle();
      worker.answer(client);
      await answered;
    }
    const posts = Array.from(
      { length: 3 },
      (_, at) => new FakeClient(200 + at, { method: "POST" }),
    );
    admitAll(dispatcher, posts);
    assert.deepEqual(dispatcher.load, { queued: 2, inFlight: 1 });
    const gets = Array.from({ length: 3 }, (_, at) => new FakeClient(300 + at));
    admitAll(dispatcher, gets);
    assert.deepEqual(dispatcher.load, { queued: 2, inFlight: 4 });
  });

  it("gives an exchange that a worker gives back to another one, before all others", async (t) => {
    const dispatcher = createDispatcher(t);
    const worker = await FakeWorker.attach(t, dispatcher, 1, { threads: 1 });
    const [first, second, third] = createClients(3) as [FakeClient, FakeClient, FakeClient];
    admitAll(dispatcher, [first, second]);
    await worker.until(1);
    // Without threads of its own a real one gives back only what it has in advance.
    dispatcher.retire(worker.lane);
    worker.say([Kind.returned, first.id]);
    const other = await FakeWorker.attach(t, dispatcher, 2, { threads: 2 });
    const [message, next] = (await other.until(2)) as RequestMessage[];
    assert.deepEqual(
      [message?.[1], next?.[1]].toSorted((a, b) => Number(a) - Number(b)),
      [first.id, second.id],
    );
    admit(dispatcher, third, TO);
    const idle = dispatcher.idle();
    other.answer(first);
    other.answer(second);
    await other.until(3);
    other.answer(third);
    await idle;
    assert.deepEqual(kindsOf([first, second, third]), ["answered", "answered", "answered"]);
  });

  it("breaks with a worker that gives back an exchange that it has begun to answer", async (t) => {
    const dispatcher = createDispatcher(t);
    const worker = await FakeWorker.attach(t, dispatcher, 1, { threads: 1 });
    const client = new FakeClient(1);
    admit(dispatcher, client, TO);
    await worker.until(1);
    const receive = dispatcher.receiverOf(worker.lane);
    receive([Kind.response, client.id, 200, "", "", BODY_FOLLOWS]);
    assert.throws(() => receive([Kind.returned, client.id]), /Cannot take an exchange back/);
  });

  it("gives a retired worker nothing new, and takes its answers", async (t) => {
    const dispatcher = createDispatcher(t);
    const worker = await FakeWorker.attach(t, dispatcher, 1);
    const [first, second] = createClients(2) as [FakeClient, FakeClient];
    admit(dispatcher, first, TO);
    dispatcher.retire(worker.lane);
    admit(dispatcher, second, TO);
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

  it("aborts the exchanges of a worker that is about to be killed, and loses none that was safe", async (t) => {
    const lines: { msg: string; exchanges?: number; first?: object; graceMs?: number }[] = [];
    const write = (line: string): void => void lines.push(JSON.parse(line) as { msg: string });
    const dispatcher = createDispatcher(t, { workerConcurrency: 4, log: pino({}, { write }) });
    const worker = await FakeWorker.attach(t, dispatcher, 1);
    const [stream, safe, answered] = createClients(3) as [FakeClient, FakeClient, FakeClient];
    const unsafe = new FakeClient(4, { method: "POST" });
    admitAll(dispatcher, [stream, safe, answered, unsafe]);
    const receive = dispatcher.receiverOf(worker.lane);
    receive([Kind.response, stream.id, 200, "", "", BODY_FOLLOWS]);
    dispatcher.retire(worker.lane);
    for (let twice = 0; twice < 2; twice++) dispatcher.cutOff(worker.lane, { graceMs: 60_000 });
    // The worker sent this answer before it read the abort.
    receive([Kind.response, answered.id, 200, "", "", "in time"]);
    const messages = await worker.until(8);
    assert.deepEqual(
      messages.filter(([kind]) => kind === Kind.abort),
      [stream, safe, answered, unsafe].map(({ id }) => [Kind.abort, id, "retired"]),
    );
    for (const { id } of [stream, safe, answered, unsafe]) receive([Kind.settled, id]);
    assert.deepEqual(kindsOf([stream, safe, answered, unsafe]), ["streamed", "", "answered", ""]);
    assert.equal(stream.streamed.end, "open");
    const other = await FakeWorker.attach(t, dispatcher, 2);
    const { failed, replayed } = dispatcher.detach(worker.lane, KILLED);
    assert.deepEqual([failed, replayed], [2, 1]);
    assert.equal(stream.streamed.end, "broken");
    await other.until(1);
    other.answer(safe);
    await dispatcher.idle();
    assert.deepEqual(kindsOf([safe, unsafe]), ["answered", "502"]);
    const cuts = lines.filter(({ msg }) => msg.startsWith("requests cut off"));
    assert.equal(cuts.length, 1);
    const { exchanges, first, graceMs } = cuts[0] ?? {};
    assert.deepEqual([exchanges, first, graceMs], [4, { id: stream.id }, 60_000]);
  });

  it("says nothing about a worker that is killed without exchanges, or that is lost already", async (t) => {
    const lines: string[] = [];
    const log = pino({}, { write: (line: string) => void lines.push(line) });
    const dispatcher = createDispatcher(t, { log });
    const [idle, lost] = [
      await FakeWorker.attach(t, dispatcher, 1),
      await FakeWorker.attach(t, dispatcher, 2),
    ];
    dispatcher.detach(lost.lane, KILLED);
    for (const { lane } of [idle, lost]) dispatcher.cutOff(lane, { graceMs: 1_000 });
    assert.deepEqual(lines, []);
  });

  it("aborts when the client leaves, frees the place, and drops the late answer", async (t) => {
    const dispatcher = createDispatcher(t, { workerConcurrency: 1 });
    const worker = await FakeWorker.attach(t, dispatcher, 1);
    const [leaver, waiting] = createClients(2) as [FakeClient, FakeClient];
    admitAll(dispatcher, [leaver, waiting]);
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

  it("refuses all waiting exchanges while it is marked down, and uses the workers with room", async (t) => {
    const dispatcher = createDispatcher(t, { workerConcurrency: 1 });
    const clients = createClients(5) as [
      FakeClient,
      FakeClient,
      FakeClient,
      FakeClient,
      FakeClient,
    ];
    const [waiting, late, served, full, later] = clients;
    admitAll(dispatcher, [waiting]);
    dispatcher.markDown(true);
    admitAll(dispatcher, [late]);
    assert.deepEqual(kindsOf([waiting, late]), ["503", "503"]);
    const worker = await FakeWorker.attach(t, dispatcher, 1);
    admitAll(dispatcher, [served, full]);
    assert.deepEqual(kindsOf([served, full]), ["", "503"]);
    dispatcher.markDown(false);
    admitAll(dispatcher, [later]);
    assert.deepEqual(dispatcher.load, { queued: 1, inFlight: 1 });
    const idle = dispatcher.idle();
    worker.answer(served);
    await worker.until(2);
    worker.answer(later);
    await idle;
    assert.deepEqual(kindsOf([served, later]), ["answered", "answered"]);
    assert.equal(worker.lane.dispatched, 2);
  });

  it("reports the wait of the first queued exchange", (t) => {
    const time = mockTime(t);
    const dispatcher = createDispatcher(t);
    assert.equal(dispatcher.queueAgeMs(performance.now()), 0);
    const [first, second] = createClients(2) as [FakeClient, FakeClient];
    admitAll(dispatcher, [first]);
    time.tick(300);
    admitAll(dispatcher, [second]);
    time.tick(100);
    assert.equal(dispatcher.queueAgeMs(performance.now()), 400);
    first.leave();
    assert.equal(dispatcher.queueAgeMs(performance.now()), 100);
  });

  it("forgets a queued exchange whose client left, and sends workers nothing about it", async (t) => {
    const dispatcher = createDispatcher(t, { workerConcurrency: 1 });
    const worker = await FakeWorker.attach(t, dispatcher, 1);
    const [first, leaver, last] = createClients(3) as [FakeClient, FakeClient, FakeClient];
    admitAll(dispatcher, [first, leaver, last]);
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

  it("answers 413 to a body over the limit, without a worker", async (t) => {
    const dispatcher = createDispatcher(t);
    const worker = await FakeWorker.attach(t, dispatcher, 1);
    const announced = new FakeClient(1, { bodyBytes: 51 });
    const chunked = new FakeClient(2, { bodyBytes: null });
    for (const client of [announced, chunked]) {
      admit(dispatcher, client, { ...TO, bodyLimitBytes: 50 });
    }
    assert.deepEqual(kindsOf([announced, chunked]), ["413", ""]);
    chunked.sendChunk(Buffer.alloc(50));
    assert.deepEqual(kindsOf([chunked]), [""]);
    chunked.sendChunk(Buffer.alloc(1));
    assert.deepEqual(kindsOf([chunked]), ["413"]);
    assert.deepEqual([announced.limitedBy, chunked.limitedBy], ["bodyLimit", "bodyLimit"]);
    await dispatcher.idle();
    assert.deepEqual(worker.received, []);
  });

  it("aborts in the worker when a streamed body exceeds the limit", async (t) => {
    const dispatcher = createDispatcher(t);
    const worker = await FakeWorker.attach(t, dispatcher, 1);
    const client = new FakeClient(1, { bodyBytes: null });
    admit(dispatcher, client, { ...TO, bodyLimitBytes: 200 });
    client.sendChunk(Buffer.alloc(200));
    client.sendChunk(Buffer.alloc(1));
    assert.deepEqual(kindsOf([client]), ["413"]);
    const messages = await worker.until(3);
    assert.deepEqual(
      messages.map(([kind]) => kind),
      [Kind.request, Kind.requestChunk, Kind.abort],
    );
    assert.equal(messages[2]?.[2], "body-too-large");
    await dispatcher.idle();
  });

  it("sends a body over the buffer in chunks, as many as the worker grants", async (t) => {
    const dispatcher = createDispatcher(t);
    const worker = await FakeWorker.attach(t, dispatcher, 1);
    const client = new FakeClient(1, { bodyBytes: null, method: "POST" });
    admit(dispatcher, client, TO);
    client.sendChunk(Buffer.alloc(100, "a"));
    assert.deepEqual(dispatcher.load, { queued: 0, inFlight: 0 });
    client.sendChunk(Buffer.alloc(1, "b"));
    assert.deepEqual(dispatcher.load, { queued: 0, inFlight: 1 });
    client.sendChunk(Buffer.alloc(REQUEST_CREDIT_BYTES, "c"));
    client.sendEnd();
    const granted = (): number => chunksOf(worker.received).reduce((sum, c) => sum + c.length, 0);
    for (let count = 1; granted() < REQUEST_CREDIT_BYTES; count++) await worker.until(count);
    assert.equal(worker.received[0]?.[9], BODY_FOLLOWS);
    assert.equal(granted(), REQUEST_CREDIT_BYTES);
    worker.say([Kind.requestCredit, client.id, 1_000]);
    for (let count = 1; worker.received.at(-1)?.[0] !== Kind.requestEnd; count++) {
      await worker.until(count);
    }
    const chunks = chunksOf(worker.received);
    assert.ok(chunks.every(({ length }) => length > 0 && length <= CHUNK_BYTES));
    const expected = `${"a".repeat(100)}b${"c".repeat(REQUEST_CREDIT_BYTES)}`;
    assert.ok(Buffer.concat(chunks).equals(Buffer.from(expected)));
    const idle = dispatcher.idle();
    worker.answer(client);
    await idle;
  });

  it("refuses with 503 the exchanges that have waited too long, oldest first", (t) => {
    const time = mockTime(t);
    const dispatcher = createDispatcher(t);
    const [first, second] = createClients(2) as [FakeClient, FakeClient];
    admit(dispatcher, first, TO);
    time.tick(500);
    admit(dispatcher, second, TO);
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
    admit(dispatcher, patient, { ...TO, timeoutMs: 0 });
    admit(dispatcher, other, TO);
    time.tick(3_600_000);
    assert.deepEqual(kindsOf([patient, other]), ["", "504"]);
    await worker.until(3);
    const idle = dispatcher.idle();
    worker.answer(patient);
    await idle;
    assert.deepEqual(kindsOf([patient]), ["answered"]);
  });

  it("answers 504 after the request's timeout, aborts in the worker, and uses the free place", async (t) => {
    const time = mockTime(t);
    const dispatcher = createDispatcher(t, { workerConcurrency: 1, queueTimeoutMs: 60_000 });
    const worker = await FakeWorker.attach(t, dispatcher, 1);
    const [slow, waiting] = createClients(2) as [FakeClient, FakeClient];
    admitAll(dispatcher, [slow, waiting]);
    time.tick(5_000);
    assert.deepEqual(kindsOf([slow, waiting]), ["", ""]);
    time.tick(250);
    assert.deepEqual(kindsOf([slow, waiting]), ["504", ""]);
    const [, abort, request] = await worker.until(3);
    assert.deepEqual(abort, [Kind.abort, 1, "deadline"]);
    assert.equal(request?.[1], 2);
    // The timeout counts from the exchange's own dispatch.
    time.tick(4_750);
    assert.deepEqual(kindsOf([waiting]), [""]);
    const idle = dispatcher.idle();
    worker.answer(waiting);
    await idle;
    assert.deepEqual(kindsOf([slow, waiting]), ["504", "answered"]);
  });

  it("passes a response on as it comes, and frees the worker at its end", async (t) => {
    const dispatcher = createDispatcher(t);
    const worker = await FakeWorker.attach(t, dispatcher, 1);
    const client = new FakeClient(1);
    admit(dispatcher, client, TO);
    dispatcher.receiverOf(worker.lane)([
      Kind.response,
      client.id,
      201,
      "Made",
      "a\nb",
      BODY_FOLLOWS,
    ]);
    client.streamed.stall();
    assert.deepEqual(dispatcher.load, { queued: 0, inFlight: 1 });
    dispatcher.receiverOf(worker.lane)([Kind.responseChunk, client.id, Buffer.from("one ")]);
    dispatcher.receiverOf(worker.lane)([Kind.responseChunk, client.id, Buffer.from("two")]);
    const idle = dispatcher.idle();
    dispatcher.receiverOf(worker.lane)([Kind.responseEnd, client.id]);
    // The client has taken nothing, but the worker is free.
    await idle;
    assert.deepEqual(dispatcher.load, { queued: 0, inFlight: 0 });
    assert.equal(client.streamed.end, "open");
    client.streamed.read();
    assert.equal(String(client.streamed.taken), "one two");
    assert.equal(client.streamed.end, "complete");
    assert.deepEqual(kindsOf([client]), ["streamed"]);
  });

  it("grants the worker the bytes that the client has taken", async (t) => {
    const dispatcher = createDispatcher(t);
    const worker = await FakeWorker.attach(t, dispatcher, 1);
    const client = new FakeClient(1);
    admit(dispatcher, client, TO);
    await worker.until(1);
    dispatcher.receiverOf(worker.lane)([Kind.response, client.id, 200, "", "", BODY_FOLLOWS]);
    client.streamed.stall();
    dispatcher.receiverOf(worker.lane)([Kind.responseChunk, client.id, Buffer.alloc(1_000)]);
    client.streamed.read(499);
    client.streamed.read(1);
    const [, credit] = await worker.until(2);
    assert.deepEqual(credit, [Kind.responseCredit, client.id, 500]);
    client.leave();
    const [, , abort] = await worker.until(3);
    assert.deepEqual(abort, [Kind.abort, client.id, "client-left"]);
    await dispatcher.idle();
  });

  it("breaks a stream off when it or its worker fails, and never ends it normally", async (t) => {
    const fail: Record<string, (dispatcher: Dispatcher, lane: Lane, id: ExchangeId) => void> = {
      handler: (dispatcher, lane, id) => dispatcher.receiverOf(lane)([Kind.responseAbort, id]),
      worker: (dispatcher, lane) => void dispatcher.detach(lane, KILLED),
      server: (dispatcher) => dispatcher.close("ERR_DRAINING"),
    };
    for (const [failing, how] of Object.entries(fail)) {
      const dispatcher = createDispatcher(t);
      const { lane } = await FakeWorker.attach(t, dispatcher, 1);
      const client = new FakeClient(1);
      admit(dispatcher, client, TO);
      dispatcher.receiverOf(lane)([Kind.response, client.id, 200, "", "", BODY_FOLLOWS]);
      dispatcher.receiverOf(lane)([Kind.responseChunk, client.id, Buffer.from("half")]);
      how(dispatcher, lane, client.id);
      assert.equal(client.streamed.end, "broken", failing);
      assert.deepEqual(kindsOf([client]), ["streamed"], failing);
      await dispatcher.idle();
    }
  });

  it("lets a response that has begun take longer than the timeout", async (t) => {
    const time = mockTime(t);
    const dispatcher = createDispatcher(t);
    const { lane } = await FakeWorker.attach(t, dispatcher, 1);
    const client = new FakeClient(1);
    admit(dispatcher, client, TO);
    dispatcher.receiverOf(lane)([Kind.response, client.id, 200, "", "", BODY_FOLLOWS]);
    dispatcher.receiverOf(lane)([Kind.responseChunk, client.id, Buffer.from("first")]);
    time.tick(3_600_000);
    assert.equal(client.streamed.end, "open");
    dispatcher.receiverOf(lane)([Kind.responseEnd, client.id]);
    assert.equal(client.streamed.end, "complete");
    await dispatcher.idle();
  });

  it("ends a response without a first byte at the timeout, and aborts in the worker", async (t) => {
    const time = mockTime(t);
    const dispatcher = createDispatcher(t);
    const worker = await FakeWorker.attach(t, dispatcher, 1);
    const client = new FakeClient(1);
    admit(dispatcher, client, TO);
    await worker.until(1);
    dispatcher.receiverOf(worker.lane)([Kind.response, client.id, 200, "", "", BODY_FOLLOWS]);
    time.tick(5_000);
    assert.equal(client.streamed.end, "open");
    time.tick(250);
    assert.deepEqual([client.streamed.end, client.streamed.failedAs], ["broken", 504]);
    assert.equal(client.limitedBy, "requestTimeout");
    const [, abort] = await worker.until(2);
    assert.deepEqual(abort, [Kind.abort, 1, "deadline"]);
    dispatcher.receiverOf(worker.lane)([Kind.settled, client.id]);
    await dispatcher.idle();
  });

  it("answers 408 to a client whose handler waits for its body, and 504 to one whose body waits", async (t) => {
    const time = mockTime(t);
    const dispatcher = createDispatcher(t);
    const { lane } = await FakeWorker.attach(t, dispatcher, 1);
    const [slow, held] = [1, 2].map(
      (id) => new FakeClient(id, { method: "POST", bodyBytes: null }),
    );
    assert.ok(slow !== undefined && held !== undefined);
    const to = { ...TO, bodyLimitBytes: 10 * REQUEST_CREDIT_BYTES };
    for (const client of [slow, held]) admit(dispatcher, client, to);
    slow.sendChunk(Buffer.alloc(REQUEST_CREDIT_BYTES - 1));
    held.sendChunk(Buffer.alloc(REQUEST_CREDIT_BYTES));
    time.tick(5_250);
    assert.deepEqual(kindsOf([slow, held]), ["408", "504"]);
    assert.deepEqual([slow.limitedBy, held.limitedBy], ["requestTimeout", "requestTimeout"]);
    for (const { id } of [slow, held]) dispatcher.receiverOf(lane)([Kind.settled, id]);
    await dispatcher.idle();
  });

  it("counts requests from before the end of the grace under drainGrace, and no later ones", async (t) => {
    const time = mockTime(t);
    const dispatcher = createDispatcher(t);
    await FakeWorker.attach(t, dispatcher, 1);
    const cut = new FakeClient(1);
    admit(dispatcher, cut, TO);
    time.tick(200);
    dispatcher.close("ERR_DRAINING", { graceMs: 200 });
    time.tick(1);
    const after = new FakeClient(2, { receivedMs: performance.now() });
    admit(dispatcher, after, TO);
    assert.deepEqual(kindsOf([cut, after]), ["503", "503"]);
    assert.deepEqual([cut.limitedBy, after.limitedBy], ["drainGrace", null]);
    await dispatcher.idle();
  });

  it("lets the worker forget a WebSocket whose client left before its answer came", async (t) => {
    const dispatcher = createDispatcher(t);
    const worker = await FakeWorker.attach(t, dispatcher, 1);
    const [client] = createClients(1);
    assert.ok(client !== undefined);
    admit(dispatcher, client, TO);
    await worker.until(1);
    client.leave();
    worker.say([Kind.responseSocket, client.id, "", true, []]);
    assert.deepEqual((await worker.until(3)).slice(1), [
      [Kind.abort, client.id, "client-left"],
      [Kind.socketForget, client.id],
    ]);
  });

  it("refuses messages that do not fit an exchange", async (t) => {
    const id = 1 as ExchangeId;
    const head: ExchangeMessage = [Kind.response, id, 200, "", "", BODY_FOLLOWS];
    const cases: Record<string, ExchangeMessage[]> = {
      "a chunk before the head": [[Kind.responseChunk, id, Buffer.from("x")]],
      "an end before the head": [[Kind.responseEnd, id]],
      "two heads": [head, head],
      "a whole response after the head": [head, [Kind.response, id, 200, "", "", "x"]],
      "a request passed on after the head": [head, [Kind.passOn, id]],
      "more than its credit": [head, [Kind.responseChunk, id, Buffer.alloc(1_001)]],
    };
    for (const [name, messages] of Object.entries(cases)) {
      const dispatcher = createDispatcher(t);
      const { lane } = await FakeWorker.attach(t, dispatcher, 1);
      const client = new FakeClient(id, { method: "POST" });
      admit(dispatcher, client, TO);
      const last = messages.pop();
      for (const message of messages) dispatcher.receiverOf(lane)(message);
      assert.ok(last !== undefined);
      assert.throws(() => dispatcher.receiverOf(lane)(last), { code: "ERR_PROTOCOL" }, name);
      // The channel's owner breaks it now.
      dispatcher.detach(lane, { code: "ERR_PROTOCOL", ownDoing: false });
      const [outcome] = client.outcomes;
      if (outcome?.kind === "streamed") assert.equal(outcome.body.end, "broken", name);
      else assert.deepEqual(kindsOf([client]), ["502"], name);
      assert.equal(client.outcomes.length, 1);
      await dispatcher.idle();
    }
  });

  it("gives a silent worker nothing new until it sends something, and lets it finish", async (t) => {
    const dispatcher = createDispatcher(t, { workerConcurrency: 2, queueLimit: 10 });
    const silent = await FakeWorker.attach(t, dispatcher, 1);
    const other = await FakeWorker.attach(t, dispatcher, 2);
    const clients = createClients(5);
    const workersOf = (): unknown[] => clients.map(({ workerId }) => workerId);
    admitAll(dispatcher, clients.slice(0, 1));
    dispatcher.stall(silent.lane);
    dispatcher.stall(silent.lane);
    admitAll(dispatcher, clients.slice(1));
    // Exchanges without room on the other worker wait.
    assert.deepEqual(workersOf(), [1, 2, 2, null, null]);
    assert.deepEqual(dispatcher.load, { queued: 2, inFlight: 3 });
    await silent.until(1);
    dispatcher.receiverOf(silent.lane)([
      Kind.response,
      clients[0]?.id as ExchangeId,
      200,
      "",
      "",
      "",
    ]);
    assert.deepEqual(workersOf(), [1, 2, 2, null, null]);
    dispatcher.resume(silent.lane);
    dispatcher.resume(silent.lane);
    assert.deepEqual(workersOf(), [1, 2, 2, 1, 1]);
    assert.deepEqual(kindsOf(clients), ["answered", "", "", "", ""]);
    assert.equal(other.lane.inFlight.size, 2);
  });

  it("gives a silent worker that is retired nothing when it sends something", async (t) => {
    const dispatcher = createDispatcher(t);
    const worker = await FakeWorker.attach(t, dispatcher, 1);
    dispatcher.stall(worker.lane);
    dispatcher.retire(worker.lane);
    dispatcher.resume(worker.lane);
    const client = new FakeClient(1);
    admit(dispatcher, client, TO);
    assert.deepEqual([client.workerId, dispatcher.load.queued], [null, 1]);
  });

  it("lists a worker's exchanges in flight, aborted ones included", async (t) => {
    const { tick } = mockTime(t);
    const dispatcher = createDispatcher(t);
    const { lane } = await FakeWorker.attach(t, dispatcher, 1);
    const [first, second] = createClients(2);
    assert.ok(first !== undefined && second !== undefined);
    admit(dispatcher, first, TO);
    tick(40);
    admit(dispatcher, second, { ...TO, route: 3 });
    first.leave();
    assert.deepEqual(dispatcher.workOf(lane), [
      { id: 1, givenId: null, route: 0, method: "GET", target: "/1", state: "settled", forMs: 40 },
      {
        id: 2,
        givenId: null,
        route: 3,
        method: "GET",
        target: "/2",
        state: "dispatched",
        forMs: 0,
      },
    ]);
  });

  it("fails the exchanges of a worker whose channel breaks", async (t) => {
    const dispatcher = createDispatcher(t);
    const worker = await FakeWorker.attach(t, dispatcher, 1);
    const client = new FakeClient(1, { method: "POST" });
    admit(dispatcher, client, TO);
    await worker.until(1);
    const idle = dispatcher.idle();
    worker.exit();
    await idle;
    assert.deepEqual(kindsOf([client]), ["502"]);
  });

  it("fails all open exchanges when it is closed", async (t) => {
    const dispatcher = createDispatcher(t, { workerConcurrency: 1 });
    await FakeWorker.attach(t, dispatcher, 1);
    const clients = createClients(3);
    admitAll(dispatcher, clients);
    dispatcher.close("ERR_DRAINING");
    assert.deepEqual(kindsOf(clients), ["503", "503", "503"]);
    await dispatcher.idle();
  });

  it("answers a request whose body is complete only after the close", async (t) => {
    const dispatcher = createDispatcher(t);
    await FakeWorker.attach(t, dispatcher, 1);
    const client = new FakeClient(1, { bodyBytes: 10 });
    admit(dispatcher, client, TO);
    dispatcher.close("ERR_DRAINING");
    client.sendBody(Buffer.alloc(10));
    assert.deepEqual(kindsOf([client]), ["503"]);
    await dispatcher.idle();
  });

  it("gives reserved exchanges places of their own, and waiting ones the first free place", async (t) => {
    const dispatcher = createDispatcher(t, { workerConcurrency: 1, queueLimit: 1 });
    const worker = await FakeWorker.attach(t, dispatcher, 1);
    const [first, queued, refused] = createClients(3) as [FakeClient, FakeClient, FakeClient];
    admitAll(dispatcher, [first, queued, refused]);
    assert.deepEqual(kindsOf([first, queued, refused]), ["", "", "503"]);
    const reserved = Array.from({ length: 6 }, (_, index) => new FakeClient(10 + index));
    for (const client of reserved) admit(dispatcher, client, { ...TO, reserved: true });
    const workers = reserved.map(({ workerId }) => workerId);
    assert.deepEqual(workers, [1, 1, 1, 1, null, null]);
    assert.deepEqual(dispatcher.load, { queued: 3, inFlight: 5 });
    await worker.until(5);
    worker.answer(first);
    const messages = await worker.until(6);
    assert.equal(messages[5]?.[1], 14);
    reserved[5]?.leave();
    assert.deepEqual(dispatcher.load, { queued: 1, inFlight: 5 });
  });

  it("refuses at once an exchange that would wait too long, and counts the reason", async (t) => {
    const time = mockTime(t);
    const counters = new Counters();
    const limits = { workerConcurrency: 1, queueLimit: 10, queueDelayMs: 300, counters };
    const dispatcher = createDispatcher(t, limits);
    // Without a ready worker there is no estimate.
    const early = createClients(8);
    admitAll(dispatcher, early);
    await FakeWorker.attach(t, dispatcher, 1);
    // One runs, with an assumed latency of 100 ms; seven wait.
    const late = new FakeClient(9);
    admit(dispatcher, late, TO);
    assert.deepEqual(kindsOf([...early, late]), ["", "", "", "", "", "", "", "", "503"]);
    for (const client of early.slice(4)) client.leave();
    const next = new FakeClient(10);
    admit(dispatcher, next, TO);
    assert.deepEqual(kindsOf([next]), [""]);
    // The worker answers nothing, so its earlier rate says nothing.
    time.tick(301);
    const last = new FakeClient(11);
    admit(dispatcher, last, TO);
    assert.deepEqual(kindsOf([last]), ["503"]);
    assert.equal(counters.limits.queueDelay, 2);
    assert.deepEqual(dispatcher.load, { queued: 4, inFlight: 1 });
  });

  it("does not count streams that have begun as work of a worker", async (t) => {
    const dispatcher = createDispatcher(t, { workerConcurrency: 100 });
    const { lane } = await FakeWorker.attach(t, dispatcher, 1);
    const clients = createClients(3);
    admitAll(dispatcher, clients);
    const { cap } = lane;
    for (const { id } of clients) {
      dispatcher.receiverOf(lane)([Kind.response, id, 200, "", "", BODY_FOLLOWS]);
    }
    assert.deepEqual([lane.busy, lane.cap], [0, cap + 3]);
    dispatcher.receiverOf(lane)([Kind.responseEnd, clients[0]?.id as ExchangeId]);
    assert.deepEqual([lane.busy, lane.cap], [0, cap + 2]);
    // The worker was told to abort and has not confirmed: this counts as work.
    clients[1]?.leave();
    assert.deepEqual([lane.busy, lane.cap], [1, cap + 1]);
    dispatcher.detach(lane, KILLED);
    assert.deepEqual([lane.busy, lane.streams], [0, 0]);
  });

  it("gives a place to a waiting request when a stream begins, unless places are few", async (t) => {
    for (const [workerConcurrency, queued] of [
      [100, 0],
      [99, 1],
    ] as const) {
      const dispatcher = createDispatcher(t, { workerConcurrency, queueLimit: 1_000 });
      const { lane } = await FakeWorker.attach(t, dispatcher, 1);
      const receive = dispatcher.receiverOf(lane);
      const clients = createClients(workerConcurrency + 1);
      admitAll(dispatcher, clients);
      for (const { id } of clients.slice(0, workerConcurrency)) {
        receive([Kind.response, id, 200, "", "", BODY_FOLLOWS]);
      }
      assert.equal(dispatcher.load.queued, queued);
    }
  });

  it("bounds the streams of a worker to ten times its places", async (t) => {
    const dispatcher = createDispatcher(t, { workerConcurrency: 100, queueLimit: 10_000 });
    const { lane } = await FakeWorker.attach(t, dispatcher, 1);
    const receive = dispatcher.receiverOf(lane);
    const clients = createClients(1_300);
    admitAll(dispatcher, clients);
    for (const { id } of clients) {
      if (lane.inFlight.get(id) !== undefined)
        receive([Kind.response, id, 200, "", "", BODY_FOLLOWS]);
    }
    assert.deepEqual(
      [lane.cap, lane.inFlight.size, dispatcher.load.queued],
      [lane.window.size + 1_000, lane.window.size + 1_000, 300 - lane.window.size],
    );
  });

  it("resolves all calls of idle()", async (t) => {
    const dispatcher = createDispatcher(t);
    const client = new FakeClient(1);
    admit(dispatcher, client, TO);
    const waits = [dispatcher.idle(), dispatcher.idle()];
    client.leave();
    await Promise.all(waits);
    await dispatcher.idle();
  });
});
