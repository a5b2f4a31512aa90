import assert from "node:assert/strict";
import { Socket } from "node:net";
import { describe, it, type TestContext } from "node:test";
import * as fc from "fast-check";
import pino from "pino";
import { Channel } from "../../runtime/channel/channel.ts";
import {
  Kind,
  type RequestMessage,
  type ToPrimary,
  type ToWorker,
  type WorkerId,
} from "../../runtime/channel/messages.ts";
import { parseToPrimary } from "../../runtime/channel/parse.ts";
import { BlockPool } from "../../runtime/bodies/block-pool.ts";
import { Dispatcher } from "../../runtime/dispatch/dispatcher.ts";
import type { Lane } from "../../runtime/dispatch/lane.ts";
import { Counters } from "../../runtime/observe/counters.ts";
import { TurnClock } from "../../runtime/lib/turn-clock.ts";
import { admit } from "./admit.ts";
import { FakeClient } from "./fake-client.ts";
import { NO_SPOOL } from "./spooling.ts";

const STEP_MS = 10;
const SWEEP_MS = 250;
const BOOT_MS = 300;
const QUEUE_DELAY_MS = 500;
/** Two turns of suspects, one late sweep, and the time for the exchanges that have waited. */
const LONGEST_WAIT_MS = 2 * 200 + SWEEP_MS + 10 * STEP_MS;
const BUFFERING = { bodyBufferBytes: 8, bodyOverflow: "stream", responseOverflow: "wait" } as const;

/** The effect of a request on its worker. */
interface Deed {
  takesMs: number;
  /** It ends with an answer, or with a crash of the worker. */
  end: "answer" | "crash";
  /** It computes all the time: the worker reads nothing. */
  blocks: boolean;
}

interface Sent {
  client: FakeClient;
  deed: Deed;
  dueMs: number;
}

/** Workers whose handlers take time, crash and restart, on a simulated clock. */
class Simulation {
  nowMs = 1_000;
  crashes = 0;
  readonly #tick: (ms: number) => void;
  readonly #dispatcher: Dispatcher;
  readonly #deeds = new Map<number, { client: FakeClient; deed: Deed; admittedMs: number }>();
  readonly #running = new Map<Lane, { sent: Sent[]; probes: ToPrimary[] }>();
  /** When each booting worker becomes ready. */
  #booting: number[];
  #clientIds = 0;
  #workerIds = 0;
  #readySinceMs = Infinity;
  /** Longest wait of a normal request while a worker was ready. */
  longestWaitMs = 0;

  constructor(workers: number, clock: { turns: TurnClock; tick: (ms: number) => void }) {
    this.#tick = clock.tick;
    clock.turns.now = () => this.nowMs;
    performance.now = () => this.nowMs;
    this.#booting = Array.from({ length: workers }, () => this.nowMs);
    this.#dispatcher = new Dispatcher({
      log: pino({ level: "silent" }),
      clock: clock.turns,
      blocks: new BlockPool(),
      spool: NO_SPOOL,
      queueDelayMs: QUEUE_DELAY_MS,
      counters: new Counters(),
      responseCreditBytes: 10,
      workerConcurrency: 100,
      queueLimit: 1_000,
      queueTimeoutMs: 10_000,
      quarantineMs: 600_000,
      routes: { mayReplay: () => null, describe: ({ route }) => ({ route }) },
    });
  }

  admit(path: string, deed: Deed, method = "GET"): FakeClient {
    const client = new FakeClient(++this.#clientIds, { method });
    this.#deeds.set(client.id, { client, deed, admittedMs: this.nowMs });
    const url = `http://localhost${path}`;
    const limits = { bodyLimitBytes: 0, timeoutMs: 60_000, buffering: BUFFERING };
    admit(this.#dispatcher, client, { route: 0, params: null, url, ...limits });
    return client;
  }

  step(): void {
    this.nowMs += STEP_MS;
    const due = this.#booting.filter((ms) => ms <= this.nowMs);
    this.#booting = this.#booting.filter((ms) => ms > this.nowMs);
    for (let count = 0; count < due.length; count++) this.#attach();
    for (const [lane, worker] of this.#running) {
      this.#finish(lane, worker);
      const isBlocked = worker.sent.some(({ deed }) => deed.blocks);
      if (!isBlocked) {
        for (const probed of worker.probes.splice(0)) {
          if (this.#running.has(lane) && probed[0] === Kind.probed) {
            this.#dispatcher.receiverOf(lane)(probed);
          }
        }
      }
    }
    this.#tick(STEP_MS);
  }

  async close(): Promise<void> {
    this.#dispatcher.close("ERR_DRAINING");
    await this.#dispatcher.idle();
  }

  #finish(lane: Lane, worker: { sent: Sent[] }): void {
    const due = worker.sent.filter(({ dueMs }) => dueMs <= this.nowMs);
    worker.sent = worker.sent.filter(({ dueMs }) => dueMs > this.nowMs);
    for (const { client, deed } of due) {
      if (deed.end === "crash") {
        this.#crash(lane);
        return;
      }
      this.#dispatcher.receiverOf(lane)([Kind.response, client.id, 200, "", "", ""]);
    }
  }

  #crash(lane: Lane): void {
    this.crashes++;
    this.#running.delete(lane);
    this.#booting.push(this.nowMs + BOOT_MS);
    if (this.#running.size === 0) this.#readySinceMs = Infinity;
    this.#dispatcher.detach(lane, { code: "ERR_WORKER_EXITED", ownDoing: true });
  }

  #attach(): void {
    const channel = new Channel<ToPrimary, ToWorker>(new Socket(), {
      maxFrameBytes: 1024,
      parse: parseToPrimary,
      onMessage: () => {},
      onClose: () => {},
    });
    const worker: { sent: Sent[]; probes: ToPrimary[] } = { sent: [], probes: [] };
    channel.send = (message) => {
      if (message[0] === Kind.request) this.#onRequest(worker, message);
      if (message[0] === Kind.probe) worker.probes.push([Kind.probed, message[1]]);
    };
    if (this.#running.size === 0) this.#readySinceMs = this.nowMs;
    const lane = this.#dispatcher.attach(++this.#workerIds as WorkerId, channel);
    this.#running.set(lane, worker);
  }

  #onRequest(worker: { sent: Sent[] }, [, id, , , method]: RequestMessage): void {
    const found = this.#deeds.get(id);
    assert.ok(found !== undefined);
    const { client, deed, admittedMs } = found;
    worker.sent.push({ client, deed, dueMs: this.nowMs + deed.takesMs });
    if (method !== "PUT") return;
    const waitedMs = this.nowMs - Math.max(admittedMs, this.#readySinceMs);
    this.longestWaitMs = Math.max(this.longestWaitMs, waitedMs);
  }
}

/** Handlers that answer, and wait for something else meanwhile. */
function answering(mostMs: number): fc.Arbitrary<Deed> {
  return fc
    .integer({ min: 1, max: mostMs })
    .map((takesMs) => ({ takesMs, end: "answer", blocks: false }));
}

const scene = fc.record({
  workers: fc.integer({ min: 1, max: 4 }),
  /** The requests in flight at the first crash, and how many of them arrived before the poison. */
  deeds: fc.array(answering(1_500), { maxLength: 20 }),
  at: fc.nat({ max: 20 }),
  poison: fc.record({
    takesMs: fc.integer({ min: 1, max: 150 }),
    end: fc.constant("crash" as const),
    blocks: fc.boolean(),
  }),
  normal: fc.record({ everySteps: fc.integer({ min: 1, max: 10 }), deed: answering(100) }),
});

function mockTime(t: TestContext): { turns: TurnClock; tick: (ms: number) => void } {
  const now = performance.now.bind(performance);
  t.after(() => (performance.now = now));
  t.mock.timers.enable({ apis: ["setInterval"] });
  return { turns: new TurnClock(), tick: (ms) => t.mock.timers.tick(ms) };
}

function kindOf(client: FakeClient): string {
  const [outcome] = client.outcomes;
  return outcome?.kind === "refused" ? String(outcome.status) : (outcome?.kind ?? "none");
}

describe("Dispatcher, beside suspects", { timeout: 60_000 }, () => {
  it("serves normal requests soon, answers innocent suspects, and finds the cause", async (t) => {
    const clock = mockTime(t);
    await fc.assert(
      fc.asyncProperty(scene, async ({ workers, deeds, at, poison: guilty, normal }) => {
        const simulation = new Simulation(workers, clock);
        simulation.step();
        const admitPoison = (): FakeClient => simulation.admit("/poison", guilty);
        let paths = 0;
        const admitSuspect = (deed: Deed): FakeClient =>
          simulation.admit(`/suspect/${paths++}`, deed);
        const before = deeds.slice(0, at).map(admitSuspect);
        const first = admitPoison();
        const innocents = [...before, ...deeds.slice(at).map(admitSuspect)];
        while (simulation.crashes === 0) simulation.step();
        // Requests from now on are no suspects, unless they run beside one.
        const others: FakeClient[] = [];
        const run = (steps: number, isOver: () => boolean): void => {
          for (let step = 0; step < steps && !isOver(); step++) {
            const isDue = step % normal.everySteps === 0;
            if (isDue)
              others.push(simulation.admit(`/normal/${others.length}`, normal.deed, "PUT"));
            simulation.step();
          }
        };
        // Twenty suspects of a second and a half, one after another, and as long for the others in between.
        const suspects = [...innocents, first];
        run(6_000, () => suspects.every(({ settled }) => settled));
        assert.deepEqual(innocents.map(kindOf), Array(innocents.length).fill("answered"));
        assert.equal(kindOf(first), "502");
        // If the suspect had company, only a third crash gives proof.
        const second = admitPoison();
        run(1_000, () => second.settled);
        assert.equal(kindOf(second), simulation.crashes === 2 ? "503" : "502");
        assert.ok(simulation.crashes <= 3, `${simulation.crashes} crashes`);
        assert.equal(kindOf(admitPoison()), "503");
        for (let step = 0; step < 200; step++) simulation.step();
        const failed = others.map(kindOf).filter((kind) => kind !== "answered");
        assert.deepEqual(failed, []);
        const { longestWaitMs } = simulation;
        assert.ok(longestWaitMs <= LONGEST_WAIT_MS, `waited for ${longestWaitMs} ms`);
        await simulation.close();
      }),
      { numRuns: 40 },
    );
  });
});
