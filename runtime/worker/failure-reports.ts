import type { HandlerFailure } from "../channel/messages.ts";

/** Least time between two reports of one file. A flood of failures must not fill the channel. */
const LEAST_MS = 50;

/** Longest message of a report. The log has all of it. */
const LONGEST_MESSAGE = 300;

/** Reports failures of handlers to the primary, for operators: the first ones at once, and few of a flood. */
export class FailureReports {
  readonly #send: (failure: HandlerFailure) => void;
  /** Time of the last report, by file. Its size is that of the handlers. */
  readonly #lastMs = new Map<string, number>();

  constructor(send: (failure: HandlerFailure) => void) {
    this.#send = send;
  }

  /** Reports a failure, unless one of this file was reported a moment ago. */
  note(failure: HandlerFailure, nowMs: number): void {
    const { handler, message } = failure;
    if (nowMs - (this.#lastMs.get(handler) ?? -Infinity) < LEAST_MS) return;
    this.#lastMs.set(handler, nowMs);
    this.#send({ ...failure, message: message.slice(0, LONGEST_MESSAGE) });
  }
}
