import { Kind, type PingNumber, type ToWorker, type WorkerId } from "../channel/messages.ts";
import { toDisplayPath } from "../display-path.ts";
import { RuntimeError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { isUserCode, type SourcePosition, type StackFrame } from "../stack-frames.ts";
import { examine } from "./examine.ts";
import { judge, type Rhythm, toRhythm, type Verdict } from "./pulse.ts";

/** Between two log lines of workers that were silent for a while: busy machines would write one a second. */
const SILENCE_LOG_MS = 10_000;

/** Longest that a hung worker lives on while it is found out where it hangs. */
const EXAMINE_MS = 1_000;

/** Most frames of a stack that are logged. */
const LOGGED_FRAMES = 20;

/** What must be known of a worker to watch over it; `WorkerProcess` is one. */
export interface Watched {
  readonly id: WorkerId;
  readonly pid: number;
  readonly channel: { readonly receivedBytes: number; send(message: ToWorker): void };
  giveUp(cause: "hung", error: RuntimeError): void;
}

export interface HeartbeatOptions<W extends Watched> {
  log: Logger;
  /** A worker that is silent for so long is hung, and killed; 0: none ever is. */
  hangTimeoutMs: number;
  /** Whether a hung worker can be asked where it hangs: SIGUSR1 opens its inspector. */
  canInspect: boolean;
  /** It has been silent for a tick: it should get nothing new. */
  onStalled: (worker: W) => void;
  /** It speaks again. Once after each `onStalled`, unless it is lost before. */
  onRecovered: (worker: W) => void;
  /** More to log of a worker that hangs: what it works on, whose code blocks it. */
  describe: (worker: W, stack: readonly StackFrame[]) => object;
}

/** What is known of one worker's signs of life. */
interface Pulse {
  verdict: Verdict;
  /** Number of the ping that was sent last; 0: none yet. */
  number: PingNumber;
  isAwaited: boolean;
  receivedBytes: number;
  silentTicks: number;
  /** When the ping was sent that stands unanswered. */
  pingedMs: number;
  /** Aborts when the worker is lost. */
  readonly gone: AbortController;
}

/**
 * Asks workers each second whether they live, and kills those that have said nothing for too long.
 *
 * Any byte is a sign of life; a ping makes an idle worker send one. At most one ping per worker stands unanswered, so
 * nothing piles up before one that reads nothing. The timer runs while somebody is watched.
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
    this.#rhythm = toRhythm(options.hangTimeoutMs);
  }

  /** From now on, until it is forgotten. */
  watch(worker: W): void {
    this.#pulses.set(worker, {
      verdict: "live",
      number: 0,
      isAwaited: false,
      receivedBytes: worker.channel.receivedBytes,
      silentTicks: 0,
      pingedMs: 0,
      gone: new AbortController(),
    });
    // What came in while this process was busy is read first: it may be the sign of life.
    this.#timer ??= setInterval(() => setImmediate(this.#tick), this.#rhythm.tickMs).unref();
  }

  /** The worker is lost, for whatever reason. */
  forget(worker: W): void {
    this.#pulses.get(worker)?.gone.abort();
    this.#pulses.delete(worker);
    if (this.#pulses.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** It answered a ping. One to an earlier ping tells nothing of now. */
  hear(worker: W, number: PingNumber): void {
    const pulse = this.#pulses.get(worker);
    if (pulse === undefined || pulse.number !== number) return;
    pulse.isAwaited = false;
    this.#revive(worker, pulse);
  }

  readonly #tick = (): void => {
    for (const [worker, pulse] of this.#pulses) {
      if (pulse.verdict === "hung") continue;
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
    pulse.verdict = judge(pulse.silentTicks, this.#rhythm.hangTicks);
    if (pulse.verdict === before) return;
    if (before === "live") {
      this.#options.log.debug({ workerId: worker.id }, "worker is silent: it gets nothing new");
      this.#options.onStalled(worker);
    }
    if (pulse.verdict === "hung") void this.#giveUp(worker, pulse);
  }

  #revive(worker: W, pulse: Pulse): void {
    if (pulse.verdict === "stalled") {
      pulse.verdict = "live";
      this.#logSilence(worker, pulse);
      this.#options.onRecovered(worker);
    }
    if (pulse.verdict === "live") pulse.silentTicks = 0;
  }

  #logSilence(worker: W, pulse: Pulse): void {
    const nowMs = performance.now();
    // By the clock, unless the clock ran on while nothing else did.
    const mostMs = (pulse.silentTicks + 1) * this.#rhythm.tickMs;
    const silentForMs = Math.round(Math.min(nowMs - pulse.pingedMs, mostMs));
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

  /** It hears nothing any more, SIGTERM included: to find out where it hangs is all that can be done before the end. */
  async #giveUp(worker: W, pulse: Pulse): Promise<void> {
    const { log, canInspect, describe } = this.#options;
    const signal = AbortSignal.any([pulse.gone.signal, AbortSignal.timeout(EXAMINE_MS)]);
    const { processState, stack } = await examine(worker.pid, { signal, canInspect });
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
      // A bug of ours must neither keep it alive nor end the primary.
      log.error(
        { ...fields, err: error },
        "worker hangs: killing it, with what cannot be described",
      );
    }
    const message = `Worker ${worker.id} hung: it sent nothing for ${silentForMs} ms`;
    worker.giveUp("hung", new RuntimeError("ERR_HANDLER_TIMEOUT", message));
  }
}

/** Where it hangs, in a person's words; nothing when that is not known. */
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

/** As messages name a place. */
function toPlace({ file, ...rest }: SourcePosition): string {
  return toText({ file: toDisplayPath(file), ...rest });
}

function toText({ file, line, column }: SourcePosition): string {
  return column === null ? `${file}:${line}` : `${file}:${line}:${column}`;
}
