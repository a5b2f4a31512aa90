import type { Logger } from "../log/log.ts";

/** Interval of the log lines after the first: a client may open thousands of connections. */
const EVERY_MS = 10_000;

/** Logs the number of connections or requests that a setting refuses: the first at once, then one line per interval. */
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

  /** Counts a refusal. `value` is the value of the setting, or the reason. */
  note(value: number | string): void {
    this.#unlogged++;
    if (this.#timer === null) this.#writeLine(value);
  }

  #writeLine(value: number | string): void {
    this.#timer = null;
    if (this.#unlogged === 0) return;
    const fields = { setting: this.#setting, value, refused: this.#unlogged };
    this.#unlogged = 0;
    this.#log.warn(fields, this.#message);
    this.#timer = setTimeout(() => this.#writeLine(value), EVERY_MS);
    this.#timer.unref();
  }
}
