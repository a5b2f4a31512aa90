import type { Logger } from "../log/log.ts";

/** The log gets one line per interval: overload lasts for a while and refuses thousands of requests. */
const EVERY_MS = 10_000;

export type OverloadSetting = "queueLimit" | "queueDelay" | "queueTimeout";

/** Logs which settings refuse requests, and how many requests. */
export class OverloadLog {
  readonly #log: Logger;
  #refused: Partial<Record<OverloadSetting, number>> | null = null;
  #nextMs = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  note(setting: OverloadSetting): void {
    this.#refused ??= {};
    this.#refused[setting] = (this.#refused[setting] ?? 0) + 1;
  }

  /** Whether there are refusals to log, and the interval is over. */
  isDue(nowMs: number): boolean {
    return this.#refused !== null && nowMs >= this.#nextMs;
  }

  write(load: { queued: number; inFlight: number }, nowMs: number): void {
    const refused = this.#refused;
    this.#refused = null;
    this.#nextMs = nowMs + EVERY_MS;
    this.#log.warn({ code: "ERR_OVERLOADED", refused, ...load }, "overloaded: requests refused");
  }
}
