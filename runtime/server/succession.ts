import { constants } from "node:os";
import { EXIT, RuntimeError } from "../lib/errors.ts";
import type { Logger } from "../log/log.ts";
import type { ExitOf, Successor } from "./successor.ts";
import type { Place } from "./takeover.ts";

/** The result of raising a server. `refused`: nothing has changed, and why. */
export type Raised = { next: Successor } | { refused: string };

export interface SuccessionOptions {
  log: Logger;
  /** Starts a server that takes this place, and waits until it serves. */
  raise: (place: Place, signal: AbortSignal) => Promise<Successor>;
  /** Returns the listeners of this process. */
  listeners: () => Place["listeners"];
}

/**
 * The server that serves in this process's place.
 *
 *     alone ──raise()──▶ raising ──it serves──▶ succeeded ──raise()──▶ raising another ──it serves──▶ succeeded
 *       ▲                   │ it does not, or abort()                     │ it does not
 *       └───────────────────┘                 succeeded ◀─────────────────┘
 *
 * A process that stays as the parent of later servers raises each of them itself. They are its own children, so it sees
 * them end, and its own parent sees one process all the time.
 */
export class Succession {
  readonly #options: SuccessionOptions;
  /** The serving server; `null`: this process. */
  #current: Successor | null = null;
  #raising: AbortController | null = null;

  constructor(options: SuccessionOptions) {
    this.#options = options;
  }

  get current(): Successor | null {
    return this.#current;
  }

  get isRaising(): boolean {
    return this.#raising !== null;
  }

  /**
   * Raises a server that takes the place of the present one, and logs the result.
   *
   * @returns The server that serves now, on the same ports as the one before, which must leave them now.
   */
  async raise(): Promise<Raised> {
    const { log } = this.#options;
    if (this.#raising !== null) {
      log.warn("upgrade ignored: another one is under way");
      return { refused: "another upgrade is under way" };
    }
    const raising = new AbortController();
    this.#raising = raising;
    const startedAtMs = performance.now();
    const place = this.#place();
    log.info(place, "upgrading: starting the program anew beside this one");
    try {
      const next = await this.#options.raise(place, raising.signal);
      if (raising.signal.aborted) {
        await next.end();
        return { refused: "the server stops" };
      }
      const durationMs = Math.round(performance.now() - startedAtMs);
      log.info({ successorPid: next.pid, durationMs }, "upgraded: the new process serves");
      this.#current = next;
      return { next };
    } catch (error) {
      const { message } = error instanceof Error ? error : new Error(String(error));
      const code = error instanceof RuntimeError ? error.code : undefined;
      if (raising.signal.aborted) log.info("upgrade given up: the server stops");
      else log.error({ code }, `upgrade refused, this version serves on: ${message}`);
      return { refused: raising.signal.aborted ? "the server stops" : message };
    } finally {
      this.#raising = null;
    }
  }

  /** Gives up the server that is being raised. */
  abort(): void {
    this.#raising?.abort();
  }

  #place(): Place {
    const current = this.#current;
    return current === null
      ? { serving: process.pid, listeners: this.#options.listeners() }
      : { serving: current.pid, listeners: current.listeners };
  }
}

/** Returns the exit code of a process that stands for another one, as a shell does. */
export function exitCodeOf({ code, signal }: ExitOf): number {
  if (signal !== null) return 128 + constants.signals[signal];
  return code ?? EXIT.failed;
}
