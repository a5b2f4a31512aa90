import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { setImmediate as immediate } from "node:timers/promises";
import pino from "pino";
import { Kind, type ToWorker, type WorkerId } from "../../../runtime/channel/messages.ts";
import { examine } from "../../../runtime/supervise/hang/examine.ts";
import type { StackFrame } from "../../../runtime/lib/stack-frames.ts";
import { Heartbeat, type Watched } from "../../../runtime/supervise/hang/heartbeat.ts";

const SPIN: StackFrame = { name: "spin", position: { file: "/srv/spin.ts", line: 7, column: 5 } };
const HANGS = "worker hangs: killing it";

/** A worker that answers when the test says so. There is no such process, so nothing of it can be examined. */
class FakeWorker implements Watched {
  readonly id: WorkerId;
  readonly pid = 0;
  /** The stack that an examination finds. */
  stack: StackFrame[] = [];
  readonly pings: number[] = [];
  receivedBytes = 0;
  readonly channel: Watched["channel"];
  /** Settles when it is given up. */
  readonly givenUp: Promise<string>;
  #onGivenUp: (message: string) => void = () => {};

  constructor(id: number) {
    this.id = id as WorkerId;
    const bytes = (): number => this.receivedBytes;
    this.channel = {
      get receivedBytes() {
        return bytes();
      },
      send: (message: ToWorker) => {
        if (message[0] === Kind.ping) this.pings.push(message[1]);
      },
    };
    this.givenUp = new Promise((resolve) => {
      this.#onGivenUp = resolve;
    });
  }

  /** The next examination lasts until `finish` is called, or until its signal aborts. */
  isSlow = false;
  finish: (stack: StackFrame[]) => void = () => {};
  readonly #examinations: ReturnType<typeof examine>[] = [];

  get examinations(): number {
    return this.#examinations.length;
  }

  examine(options: { signal: AbortSignal }): ReturnType<typeof examine> {
    const findings = this.#examine(options);
    this.#examinations.push(findings);
    return findings;
  }

  /** Resolves when all examinations have ended, and their owner has drawn its conclusions. */
  async examined(): Promise<void> {
    for (let count = -1; count !== this.examinations;) {
      count = this.examinations;
      await Promise.all(this.#examinations);
      await immediate();
    }
  }

  async #examine({ signal }: { signal: AbortSignal }): ReturnType<typeof examine> {
    if (this.isSlow) {
      this.isSlow = false;
      const stack = await new Promise<StackFrame[]>((resolve) => {
        this.finish = resolve;
        signal.addEventListener("abort", () => resolve([]));
      });
      return { processState: "running", stack };
    }
    const findings = await examine(this.pid, { signal, canInspect: false });
    return { ...findings, stack: this.stack };
  }

  giveUp(cause: "hung", error: Error): void {
    this.#onGivenUp(`${cause}: ${error.message}`);
  }
}

/** A heartbeat on the time of the test. Records its calls. */
class Trial {
  readonly events: string[] = [];
  readonly logs: Record<string, unknown>[] = [];
  readonly heartbeat: Heartbeat<FakeWorker>;
  /** Immediates run at once; restore the real ones where the order counts. */
  readonly immediates: { mock: { restore(): void } };
  nowMs = 1_000;
  readonly #t: TestContext;

  constructor(
    t: TestContext,
    hangTimeoutMs = 4_000,
    describeWork: () => object = () => ({ exchanges: 3 }),
    blockWarnMs = 0,
  ) {
    this.#t = t;
    t.mock.method(performance, "now", () => this.nowMs);
    t.mock.timers.enable({ apis: ["setInterval"] });
    // Not by the timers above: from Node 22 on, their tick() does not end after an interval was cleared that sets immediates.
    this.immediates = t.mock.method(globalThis, "setImmediate", (act: () => void) => act());
    this.heartbeat = new Heartbeat<FakeWorker>({
      log: pino(
        { level: "info" },
        { write: (line) => this.logs.push(JSON.parse(line) as Record<string, unknown>) },
      ),
      hangTimeoutMs,
      blockWarnMs,
      onBlocked: ({ id }) => this.events.push(`blocked ${id}`),
      onStalled: ({ id }) => this.events.push(`stalled ${id}`),
      onRecovered: ({ id }) => this.events.push(`recovered ${id}`),
      describe: describeWork,
    });
  }

  watch(id: number): FakeWorker {
    const worker = new FakeWorker(id);
    this.heartbeat.watch(worker);
    return worker;
  }

  tick(count = 1): void {
    for (let number = 0; number < count; number++) {
      this.nowMs += 1_000;
      this.#t.mock.timers.tick(1_000);
    }
  }

  /** A pong comes in. */
  answer(worker: FakeWorker): void {
    worker.receivedBytes += 10;
    this.heartbeat.onPong(worker, worker.pings.at(-1) ?? 0);
  }
}

function failToDescribe(): object {
  throw new TypeError("no such route");
}

describe("Heartbeat", { timeout: 240_000 }, () => {
  it("pings a worker that answers in each tick, and leaves it alone", (t) => {
    const trial = new Trial(t);
    const worker = trial.watch(1);
    for (let number = 1; number <= 20; number++) {
      trial.tick();
      trial.answer(worker);
    }
    assert.deepEqual(
      worker.pings,
      Array.from({ length: 20 }, (_, index) => index + 1),
    );
    assert.deepEqual(trial.events, []);
    assert.deepEqual(trial.logs, []);
  });

  it("reports a worker that is silent for a tick, and when it sends again", (t) => {
    const trial = new Trial(t);
    const worker = trial.watch(1);
    trial.tick();
    assert.deepEqual(trial.events, []);
    trial.tick(2);
    assert.deepEqual(trial.events, ["stalled 1"]);
    // A worker that reads nothing is not sent one ping after the other.
    assert.deepEqual(worker.pings, [1]);
    trial.answer(worker);
    assert.deepEqual(trial.events, ["stalled 1", "recovered 1"]);
    const [line] = trial.logs;
    assert.deepEqual([line?.["level"], line?.["workerId"], line?.["silentForMs"]], [40, 1, 2_000]);
    trial.tick();
    assert.deepEqual(worker.pings, [1, 2]);
  });

  it("takes any byte for a sign of life", (t) => {
    const trial = new Trial(t);
    const worker = trial.watch(1);
    trial.tick(2);
    for (let number = 0; number < 10; number++) {
      worker.receivedBytes++;
      trial.tick();
    }
    assert.deepEqual(trial.events, ["stalled 1", "recovered 1"]);
    assert.deepEqual(worker.pings, [1]);
  });

  it("gives up a hung worker although the description of its work fails", async (t) => {
    const trial = new Trial(t, 4_000, () => {
      throw new TypeError("no such route");
    });
    const worker = trial.watch(1);
    trial.tick(6);
    assert.match(await worker.givenUp, /^hung/);
    // A rejection without a handler would end this process.
    await worker.examined();
    const line = trial.logs.at(-1);
    assert.deepEqual([line?.["level"], line?.["workerId"]], [50, 1]);
    assert.match(JSON.stringify(line?.["err"]), /no such route/);
  });

  it("ignores the answer to an earlier ping", (t) => {
    const trial = new Trial(t);
    const worker = trial.watch(1);
    trial.tick();
    trial.answer(worker);
    trial.tick(2);
    trial.heartbeat.onPong(worker, 1);
    trial.heartbeat.onPong(worker, 99);
    assert.deepEqual(trial.events, ["stalled 1"]);
  });

  it("gives up a worker that is silent for the timeout, once, and logs the facts", async (t) => {
    const trial = new Trial(t);
    const worker = trial.watch(1);
    trial.tick(4);
    assert.deepEqual(trial.logs, []);
    trial.tick();
    assert.equal(await worker.givenUp, "hung: Worker 1 hung: it sent nothing for 4000 ms");
    // Too late.
    trial.answer(worker);
    trial.tick(10);
    trial.heartbeat.forget(worker);
    assert.deepEqual(worker.pings, [1]);
    assert.deepEqual(trial.events, ["stalled 1"]);
    assert.equal(trial.logs.length, 1);
    const [{ level, msg, workerId, silentForMs, exchanges } = {} as Record<string, unknown>] =
      trial.logs;
    assert.deepEqual(
      [level, msg, workerId, silentForMs, exchanges],
      [50, "worker hangs: killing it", 1, 4_000, 3],
    );
  });

  it("gives up no worker when only the clock ran on, as when the machine slept", (t) => {
    const trial = new Trial(t);
    const worker = trial.watch(1);
    trial.tick();
    trial.nowMs += 3_600_000;
    trial.tick();
    trial.answer(worker);
    assert.deepEqual(trial.events, ["stalled 1", "recovered 1"]);
    assert.equal(trial.logs[0]?.["silentForMs"], 2_000);
  });

  it("reads bytes that have arrived before it judges", async (t) => {
    const trial = new Trial(t);
    // A turn of the event loop: timers, then sockets, then immediates.
    trial.immediates.mock.restore();
    const worker = trial.watch(1);
    trial.tick();
    await immediate();
    trial.tick();
    trial.answer(worker);
    await immediate();
    assert.deepEqual(worker.pings, [1, 2]);
    assert.deepEqual(trial.events, []);
  });

  it("never gives up without a timeout", (t) => {
    const trial = new Trial(t, 0);
    trial.watch(1);
    trial.tick(10_000);
    assert.deepEqual(trial.events, ["stalled 1"]);
  });

  it("judges each worker by itself", (t) => {
    const trial = new Trial(t);
    const [silent, other] = [trial.watch(1), trial.watch(2)];
    for (let number = 0; number < 3; number++) {
      trial.tick();
      trial.answer(other);
    }
    assert.deepEqual(trial.events, ["stalled 1"]);
    assert.deepEqual([silent.pings.length, other.pings.length], [1, 3]);
  });

  it("reports nothing about a lost worker, and sends no pings when all are lost", async (t) => {
    const trial = new Trial(t);
    const [hung, stalled] = [trial.watch(1), trial.watch(2)];
    trial.tick(3);
    trial.answer(stalled);
    trial.events.length = 0;
    trial.logs.length = 0;
    trial.tick(2);
    const clear = t.mock.method(globalThis, "clearInterval");
    // While it is examined.
    trial.heartbeat.forget(hung);
    assert.equal(clear.mock.callCount(), 0);
    trial.heartbeat.forget(stalled);
    assert.equal(clear.mock.callCount(), 1);
    trial.answer(stalled);
    trial.tick(100);
    await hung.examined();
    assert.deepEqual(trial.events, ["stalled 2"]);
    assert.deepEqual(trial.logs, []);
    assert.deepEqual([hung.pings.length, stalled.pings.length], [1, 2]);
    // A new worker gets pings again.
    const next = trial.watch(3);
    trial.tick();
    assert.deepEqual(next.pings, [1]);
  });

  it("names the code that blocks a worker, which goes on", async (t) => {
    const trial = new Trial(t, 30_000, undefined, 2_000);
    const worker = trial.watch(1);
    worker.stack = [SPIN];
    trial.tick(2);
    await worker.examined();
    assert.deepEqual([trial.events, trial.logs], [["stalled 1"], []]);
    trial.tick();
    await worker.examined();
    assert.deepEqual(trial.events, ["stalled 1", "blocked 1"]);
    const [line] = trial.logs;
    assert.deepEqual(
      [line?.["level"], line?.["msg"], line?.["workerId"], line?.["blockedForMs"]],
      [40, "worker is blocked", 1, 2_000],
    );
    assert.deepEqual([line?.["exchanges"], line?.["blockedAt"]], [3, "/srv/spin.ts:7:5"]);
    trial.answer(worker);
    assert.equal(trial.events.at(-1), "recovered 1");
  });

  it("warns about a worker once a minute, and counts each time", async (t) => {
    const trial = new Trial(t, 30_000, undefined, 1_000);
    const worker = trial.watch(1);
    for (let number = 0; number < 100; number++) {
      trial.tick(2);
      await worker.examined();
      trial.answer(worker);
    }
    assert.equal(trial.events.filter((event) => event === "blocked 1").length, 100);
    const warnings = trial.logs.filter(({ msg }) => msg === "worker is blocked");
    assert.equal(warnings.length, 4);
  });

  it("does not warn without a stack about a worker that has answered meanwhile", async (t) => {
    const trial = new Trial(t, 30_000, undefined, 1_000);
    const worker = trial.watch(1);
    trial.tick(2);
    trial.answer(worker);
    await worker.examined();
    assert.deepEqual(
      trial.logs.map(({ msg }) => msg),
      ["worker was silent: a handler blocked its event loop"],
    );
  });

  it("warns about the next block after an examination that gave no line", async (t) => {
    const trial = new Trial(t, 30_000, undefined, 1_000);
    const worker = trial.watch(1);
    trial.tick(2);
    trial.answer(worker);
    await worker.examined();
    assert.ok(trial.logs.every(({ msg }) => msg !== "worker is blocked"));
    worker.stack = [SPIN];
    trial.tick(2);
    await worker.examined();
    assert.equal(worker.examinations, 2);
    const warnings = trial.logs.filter(({ msg }) => msg === "worker is blocked");
    assert.deepEqual(
      warnings.map(({ blockedAt }) => blockedAt),
      ["/srv/spin.ts:7:5"],
    );
  });

  it("warns although the description of its work fails", async (t) => {
    const trial = new Trial(t, 30_000, failToDescribe, 1_000);
    const worker = trial.watch(1);
    trial.tick(2);
    await worker.examined();
    assert.match(JSON.stringify(trial.logs), /worker is blocked; its description failed/);
  });

  it("gives up a worker that hangs during its examination, and warns no more", async (t) => {
    const trial = new Trial(t, 4_000, undefined, 1_000);
    const worker = trial.watch(1);
    trial.tick(5);
    assert.match(await worker.givenUp, /^hung/);
    await worker.examined();
    assert.deepEqual(
      trial.logs.map(({ msg }) => msg),
      ["worker hangs: killing it"],
    );
  });

  it("logs the stack of an examination that runs when the worker hangs", async (t) => {
    const trial = new Trial(t, 4_000, undefined, 1_000);
    const worker = trial.watch(1);
    worker.isSlow = true;
    trial.tick(5);
    worker.finish([SPIN]);
    assert.match(await worker.givenUp, /^hung/);
    const [line, ...others] = trial.logs;
    assert.deepEqual([line?.["msg"], line?.["blockedAt"], others], [HANGS, "/srv/spin.ts:7:5", []]);
    assert.equal(worker.examinations, 1);
  });

  it("examines a hung worker anew when the examination that runs finds nothing in time", async (t) => {
    const trial = new Trial(t, 4_000, undefined, 1_000);
    const worker = trial.watch(1);
    worker.isSlow = true;
    worker.stack = [SPIN];
    trial.tick(5);
    assert.match(await worker.givenUp, /^hung/);
    assert.deepEqual(
      trial.logs.map(({ msg, blockedAt }) => [msg, blockedAt]),
      [[HANGS, "/srv/spin.ts:7:5"]],
    );
    assert.equal(worker.examinations, 2);
  });

  it("gives the inspector to no other client during an examination", async (t) => {
    const trial = new Trial(t, 30_000, undefined, 1_000);
    const worker = trial.watch(1);
    worker.isSlow = true;
    trial.tick(2);
    assert.equal(trial.heartbeat.pause(worker, { standsStill: false }), null);
    const looked = trial.heartbeat.untilLooked(worker);
    worker.finish([SPIN]);
    await looked;
    assert.notEqual(trial.heartbeat.pause(worker, { standsStill: false }), null);
    // Nothing is left to wait for.
    await trial.heartbeat.untilLooked(worker);
  });

  it("writes few lines about silence, and counts the lines that it leaves out", (t) => {
    const trial = new Trial(t);
    const worker = trial.watch(1);
    for (let number = 0; number < 8; number++) {
      trial.tick(2);
      trial.answer(worker);
    }
    assert.equal(trial.events.length, 16);
    assert.deepEqual(
      trial.logs.map(({ silencesNotLogged }) => silencesNotLogged),
      [undefined, 4],
    );
  });
});

describe("Heartbeat.pause()", { timeout: 240_000 }, () => {
  it("neither pings nor judges a worker until it resumes", (t) => {
    const trial = new Trial(t, 4_000);
    const worker = trial.watch(1);
    trial.tick();
    const pause = trial.heartbeat.pause(worker, { standsStill: false });
    assert.equal(trial.heartbeat.pause(worker, { standsStill: false }), null);
    trial.tick(100);
    assert.deepEqual([worker.pings, trial.events, trial.logs], [[1], [], []]);
    pause?.resume();
    pause?.resume();
    trial.answer(worker);
    trial.tick();
    assert.deepEqual([worker.pings, trial.events], [[1, 2], []]);
  });

  it("gives nothing new to a worker that stands still, also when it answers", (t) => {
    const trial = new Trial(t, 4_000);
    const worker = trial.watch(1);
    trial.tick();
    const pause = trial.heartbeat.pause(worker, { standsStill: true });
    trial.answer(worker);
    trial.tick(10);
    assert.deepEqual(trial.events, ["stalled 1"]);
    pause?.resume();
    assert.deepEqual(trial.events, ["stalled 1", "recovered 1"]);
  });

  it("tells that the worker is lost, and then recovers nothing", (t) => {
    const trial = new Trial(t, 4_000);
    const worker = trial.watch(1);
    const pause = trial.heartbeat.pause(worker, { standsStill: true });
    trial.heartbeat.forget(worker);
    assert.ok(pause?.lost.aborted);
    pause.resume();
    assert.deepEqual(trial.events, ["stalled 1"]);
    assert.equal(trial.heartbeat.pause(worker, { standsStill: true }), null);
  });
});
