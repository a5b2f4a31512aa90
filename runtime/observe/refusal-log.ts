import type { Logger } from "../log/log.ts";

/** A client that opens too many connections opens thousands. The log gets one line at once, then one per interval. */
const EVERY_MS = 10_000;

/** Logs that a setting refuses connections or requests, and how many. */
export class RefusalLog {
  readonly #log: Logger;
  readonly #setting: string;
  readonly #message: string;
  #unlogged = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(log: Logger, { setting, message }: { setting: string; message: string }) {
    this.#log = log;
    this.#setting = setting;
    this.#message = message;
  }

  /** Counts one more refusal, by a setting that has this value. */
  note(value: number): void {
    this.#unlogged++;
    if (this.#timer === null) this.#writeLine(value);
  }

  #writeLine(value: number): void {
    this.#timer = null;
    if (this.#unlogged === 0) return;
    const fields = { setting: this.#setting, value, refused: this.#unlogged };
    this.#unlogged = 0;
    this.#log.warn(fields, this.#message);
    this.#timer = setTimeout(() => this.#writeLine(value), EVERY_MS);
    this.#timer.unref();
  }
}
