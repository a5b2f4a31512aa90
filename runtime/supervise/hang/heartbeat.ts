import { Kind, type PingNumber, type ToWorker, type WorkerId } from "../../channel/messages.ts";
import { toDisplayPath } from "../../lib/display-path.ts";
import { RuntimeError } from "../../lib/errors.ts";
import type { Logger } from "../../log/log.ts";
import { isUserCode, type SourcePosition, type StackFrame } from "../../lib/stack-frames.ts";
import type { Findings } from "./examine.ts";
import { judge, type Rhythm, toRhythm, type Verdict } from "./pulse.ts";

/** Least time between log lines about silent workers: a busy machine would write one per second. */
const SILENCE_LOG_MS = 10_000;

/** Longest time for which the primary examines a hung worker before it kills it. */
const EXAMINE_MS = 1_000;

/** Least time between two warnings about the same worker. */
const WARN_INTERVAL_MS = 60_000;

/** Longest examination of a blocked worker, which goes on meanwhile: a busy machine may take seconds. */
const LOOK_MS = 5_000;

/** Most frames of a stack that are logged. */
const LOGGED_FRAMES = 20;

/** The parts of a worker that the heartbeat needs; `WorkerProcess` has them. */
export interface Watched {
  readonly id: WorkerId;
  readonly pid: number;
  readonly channel: { readonly receivedBytes: number; send(message: ToWorker): void };
  giveUp(cause: "hung", error: RuntimeError): void;
  /** Finds out where it is blocked. Never rejects; ends with the signal. */
  examine(options: { signal: AbortSignal }): Promise<Findings>;
}

export interface HeartbeatOptions<W extends Watched> {
  log: Logger;
  /** A worker that is silent for this long is hung, and killed; 0: no silence is too long. */
  hangTimeoutMs: number;
  /** The log names the code that blocks a worker for so long; 0: it does not. */
  blockWarnMs: number;
  /** The worker has been silent for `blockWarnMs`. Called once for each silence. */
  onBlocked: (worker: W) => void;
  /** The worker has been silent for a tick of a second, or less: it should get nothing new. */
  onStalled: (worker: W) => void;
  /** The worker sends again. Called once after each `onStalled`, unless the worker is lost before. */
  onRecovered: (worker: W) => void;
  /** Returns more log fields about a blocked worker: its exchanges, and the code that blocks it. */
  describe: (worker: W, stack: readonly StackFrame[]) => object;
}

/** An examination of a worker that goes on. */
interface Look {
  /** Never rejects. */
  readonly findings: Promise<Findings>;
  /** Ends it: it resolves with the findings until then. */
  readonly end: () => void;
}

/** The state of one worker. */
interface Pulse {
  verdict: Verdict;
  /** Number of the last ping; 0: none yet. */
  number: PingNumber;
  isAwaited: boolean;
  receivedBytes: number;
  silentTicks: number;
  /** When the unanswered ping was sent. */
  pingedMs: number;
  /** How long the last answer took; `null`: none has come. */
  pongMs: number | null;
  /** The last time at which a warning about it was logged. An examination without a line silences no later warning. */
  warnedMs: number;
  /** The worker is inspected: its silence means nothing. `standsStill`: it gets nothing new. `null`: it is not. */
  paused: { standsStill: boolean } | null;
  /** The examination for a warning; `null`: none runs. */
  looking: Look | null;
  /** Aborts when the worker is lost. */
  readonly gone: AbortController;
}

/**
 * Pings workers each second, and kills workers that have been silent for too long.
 *
 * Any byte is a sign of life; a ping makes an idle worker send one. Each worker has at most one unanswered ping:
 * pings must not pile up while it does not read. The timer runs while there are workers to watch.
 */
export class Heartbeat<W extends Watched> {
  readonly #options: HeartbeatOptions<W>;
  readonly #rhythm: Rhythm;
  readonly #pulses = new Map<W, Pulse>();
  #timer: NodeJS.Timeout | undefined;
  #silenceLoggedMs = -Infinity;
  #silencesNotLogged = 0;

  constructor(options: HeartbeatOptions<W>) {
    this.#options = options;
    this.#rhythm = toRhythm(options);
  }

  /** Watches a worker until `forget`. */
  watch(worker: W): void {
    this.#pulses.set(worker, {
      verdict: "live",
      number: 0,
      isAwaited: false,
      receivedBytes: worker.channel.receivedBytes,
      silentTicks: 0,
      pingedMs: 0,
      pongMs: null,
      warnedMs: -Infinity,
      paused: null,
      looking: null,
      gone: new AbortController(),
    });
    // Read first the bytes that came in while this process was busy: they may be the sign of life.
    this.#timer ??= setInterval(() => setImmediate(this.#tick), this.#rhythm.tickMs).unref();
  }

  /** Stops watching a worker that is lost. */
  forget(worker: W): void {
    this.#pulses.get(worker)?.gone.abort();
    this.#pulses.delete(worker);
    if (this.#pulses.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Waits until no examination has the inspector of a worker. Takes some seconds at most. */
  async untilLooked(worker: W): Promise<void> {
    await this.#pulses.get(worker)?.looking?.findings;
  }

  /**
   * Stops pinging and judging a worker. The caller must call `resume`, and may do so after the worker is lost.
   *
   * @returns `null`: the worker is lost, hangs, is examined, or is paused already.
   */
  pause(
    worker: W,
    { standsStill }: { standsStill: boolean },
  ): { lost: AbortSignal; resume: () => void } | null {
    const pulse = this.#pulses.get(worker);
    if (pulse === undefined || pulse.verdict === "hung" || pulse.paused !== null) return null;
    // Two clients at a time would take the inspector from each other.
    if (pulse.looking !== null) return null;
    pulse.paused = { standsStill };
    if (standsStill && pulse.verdict === "live") {
      pulse.verdict = "stalled";
      this.#options.onStalled(worker);
    }
    const resume = (): void => {
      if (pulse.paused === null) return;
      pulse.paused = null;
      pulse.silentTicks = 0;
      // Its earlier silence is over, or begins anew.
      if (pulse.verdict === "stalled" && this.#pulses.get(worker) === pulse) {
        pulse.verdict = "live";
        this.#options.onRecovered(worker);
      }
    };
    return { lost: pulse.gone.signal, resume };
  }

  /** Notes a worker's answer to a ping. An answer to an earlier ping says nothing about now. */
  onPong(worker: W, number: PingNumber): void {
    const pulse = this.#pulses.get(worker);
    if (pulse === undefined || pulse.number !== number) return;
    pulse.isAwaited = false;
    pulse.pongMs = performance.now() - pulse.pingedMs;
    this.#revive(worker, pulse);
  }

  /** How long a worker took to answer its last ping; `null`: it has answered none, or is lost. */
  pongMs(worker: W): number | null {
    return this.#pulses.get(worker)?.pongMs ?? null;
  }

  readonly #tick = (): void => {
    for (const [worker, pulse] of this.#pulses) {
      if (pulse.verdict === "hung" || pulse.paused !== null) continue;
      const { receivedBytes } = worker.channel;
      if (receivedBytes !== pulse.receivedBytes) {
        pulse.receivedBytes = receivedBytes;
        this.#revive(worker, pulse);
      } else if (pulse.isAwaited) {
        pulse.silentTicks++;
        this.#judge(worker, pulse);
      }
      if (!pulse.isAwaited) this.#ping(worker, pulse);
    }
  };

  #ping(worker: W, pulse: Pulse): void {
    pulse.number++;
    pulse.isAwaited = true;
    pulse.pingedMs = performance.now();
    worker.channel.send([Kind.ping, pulse.number]);
  }

  #judge(worker: W, pulse: Pulse): void {
    const before = pulse.verdict;
    pulse.verdict = judge(pulse.silentTicks, this.#rhythm);
    if (pulse.silentTicks === this.#rhythm.warnTicks) this.#onBlocked(worker, pulse);
    if (pulse.verdict === before) return;
    if (before === "live") {
      this.#options.log.debug({ workerId: worker.id }, "worker is silent: it gets nothing new");
      this.#options.onStalled(worker);
    }
    if (pulse.verdict === "hung") void this.#giveUp(worker, pulse);
  }

  #revive(worker: W, pulse: Pulse): void {
    if (pulse.paused?.standsStill === true) return;
    if (pulse.verdict === "stalled") {
      pulse.verdict = "live";
      this.#logSilence(worker, pulse);
      this.#options.onRecovered(worker);
    }
    if (pulse.verdict === "live") pulse.silentTicks = 0;
  }

  #onBlocked(worker: W, pulse: Pulse): void {
    this.#options.onBlocked(worker);
    if (pulse.verdict === "hung" || pulse.looking !== null) return;
    if (performance.now() - pulse.warnedMs < WARN_INTERVAL_MS) return;
    const ending = new AbortController();
    const end = (): void => ending.abort();
    const cutOff = setTimeout(end, LOOK_MS);
    const signal = AbortSignal.any([pulse.gone.signal, ending.signal]);
    const findings = worker.examine({ signal }).finally(() => {
      clearTimeout(cutOff);
      pulse.looking = null;
    });
    const { number } = pulse;
    pulse.looking = { findings, end };
    void findings.then((found) => this.#warn(worker, { pulse, number, found }));
  }

  /** Logs where a worker is blocked. The worker goes on. */
  #warn(
    worker: W,
    { pulse, number, found }: { pulse: Pulse; number: PingNumber; found: Findings },
  ): void {
    const { log, describe } = this.#options;
    const { processState, stack } = found;
    if (pulse.gone.signal.aborted || pulse.verdict === "hung") return;
    // Without a stack, a worker that has answered meanwhile was blocked for hardly longer than the limit.
    if (stack.length === 0 && (pulse.number !== number || !pulse.isAwaited)) return;
    pulse.warnedMs = performance.now();
    const fields = {
      workerId: worker.id,
      workerPid: worker.pid,
      blockedForMs: this.#silenceMs(pulse, performance.now()),
      processState,
      ...toStackFields(stack),
    };
    try {
      log.warn({ ...fields, ...describe(worker, stack) }, "worker is blocked");
    } catch (error) {
      // A bug in the description must not end the primary.
      log.warn({ ...fields, err: error }, "worker is blocked; its description failed");
    }
  }

  /** Returns how long a worker has been silent: by the clock, unless the clock ran on while the machine slept. */
  #silenceMs(pulse: Pulse, nowMs: number): number {
    const mostMs = (pulse.silentTicks + 1) * this.#rhythm.tickMs;
    return Math.round(Math.min(nowMs - pulse.pingedMs, mostMs));
  }

  #logSilence(worker: W, pulse: Pulse): void {
    const nowMs = performance.now();
    const silentForMs = this.#silenceMs(pulse, nowMs);
    if (nowMs - this.#silenceLoggedMs < SILENCE_LOG_MS) {
      this.#silencesNotLogged++;
      return;
    }
    const others = this.#silencesNotLogged;
    this.#silenceLoggedMs = nowMs;
    this.#silencesNotLogged = 0;
    this.#options.log.warn(
      { workerId: worker.id, silentForMs, ...(others > 0 && { silencesNotLogged: others }) },
      "worker was silent: a handler blocked its event loop",
    );
  }

  /** Examines and kills a hung worker. A hung worker does not react to SIGTERM. */
  async #giveUp(worker: W, pulse: Pulse): Promise<void> {
    const { log, describe } = this.#options;
    const { processState, stack } = await this.#examineHung(worker, pulse);
    if (pulse.gone.signal.aborted) return;
    const silentForMs = pulse.silentTicks * this.#rhythm.tickMs;
    const fields = {
      workerId: worker.id,
      workerPid: worker.pid,
      silentForMs,
      processState,
      ...toStackFields(stack),
    };
    try {
      log.error({ ...fields, ...describe(worker, stack) }, "worker hangs: killing it");
    } catch (error) {
      // A bug in the description must neither keep the worker alive nor end the primary.
      log.error({ ...fields, err: error }, "worker hangs: killing it; its description failed");
    }
    const message = `Worker ${worker.id} hung: it sent nothing for ${silentForMs} ms`;
    worker.giveUp("hung", new RuntimeError("ERR_HANDLER_TIMEOUT", message));
  }

  /** Returns the findings of the examination that runs, if it finds a stack in time, else those of a new one. */
  async #examineHung(worker: W, { gone, looking }: Pulse): Promise<Findings> {
    if (looking !== null) {
      const cutOff = setTimeout(looking.end, EXAMINE_MS);
      const findings = await looking.findings;
      clearTimeout(cutOff);
      if (findings.stack.length > 0) return findings;
    }
    return worker.examine({
      signal: AbortSignal.any([gone.signal, AbortSignal.timeout(EXAMINE_MS)]),
    });
  }
}

/** Returns log fields with the place where a worker hangs; no fields when the place is not known. */
function toStackFields(stack: readonly StackFrame[]): object {
  if (stack.length === 0) return {};
  const blockedAt = stack.find(({ position }) => position !== null && isUserCode(position.file));
  return {
    ...(blockedAt?.position && { blockedAt: toPlace(blockedAt.position) }),
    // As Node writes a stack.
    stack: stack
      .slice(0, LOGGED_FRAMES)
      .map(({ name, position }) =>
        position === null ? name : `${name ?? "(anonymous)"} (${toText(position)})`,
      ),
  };
}

/** Formats a place as in other messages. */
function toPlace({ file, ...rest }: SourcePosition): string {
  return toText({ file: toDisplayPath(file), ...rest });
}

function toText({ file, line, column }: SourcePosition): string {
  return column === null ? `${file}:${line}` : `${file}:${line}:${column}`;
}
