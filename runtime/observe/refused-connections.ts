import type { Logger } from "../log/log.ts";

/** A client that opens too many connections opens thousands. The log gets one line at once, then one per interval. */
const EVERY_MS = 10_000;

/** Logs refused connections and their number: they have no access line. */
export class RefusedConnections {
  readonly #log: Logger;
  #unlogged = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Counts one more refused connection. */
  note(maxConnections: number): void {
    this.#unlogged++;
    if (this.#timer === null) this.#writeLine(maxConnections);
  }

  #writeLine(maxConnections: number): void {
    this.#timer = null;
    if (this.#unlogged === 0) return;
    const fields = { setting: "maxConnections", value: maxConnections, refused: this.#unlogged };
    this.#unlogged = 0;
    this.#log.warn(fields, "connections refused: too many are open");
    this.#timer = setTimeout(() => this.#writeLine(maxConnections), EVERY_MS);
    this.#timer.unref();
  }
}
