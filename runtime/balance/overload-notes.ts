import type { Logger } from "../log/log.ts";
import type { QueueRefusal } from "./group-queue.ts";

/** Interval of the log lines: overload lasts for a while and refuses thousands of requests. */
const EVERY_MS = 10_000;

/** Logs the reasons for which a group refuses requests, and how many: the first at once, then one line per interval. */
export class OverloadNotes {
  readonly #log: Logger;
  #refused: Partial<Record<QueueRefusal, number>> | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(log: Logger) {
    this.#log = log;
  }

  note(reason: QueueRefusal, queued: number): void {
    this.#refused ??= {};
    this.#refused[reason] = (this.#refused[reason] ?? 0) + 1;
    if (this.#timer === null) this.#write(queued);
  }

  #write(queued: number): void {
    this.#timer = null;
    const refused = this.#refused;
    if (refused === null) return;
    this.#refused = null;
    this.#log.warn(
      { code: "ERR_OVERLOADED", refused, queued },
      "requests refused: no upstream server can take them",
    );
    this.#timer = setTimeout(() => this.#write(queued), EVERY_MS);
    this.#timer.unref();
  }
}
