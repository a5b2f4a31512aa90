import type { Logger } from "../log.ts";

/** A client that opens too many connections opens thousands. The log gets one line at once, then one per interval. */
const EVERY_MS = 10_000;

/** Logs refused connections and their number: they have no access line. */
export class RefusedConnections {
  readonly #log: Logger;
  #untold = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Counts one more refused connection. */
  note(maxConnections: number): void {
    this.#untold++;
    if (this.#timer === null) this.#tell(maxConnections);
  }

  #tell(maxConnections: number): void {
    this.#timer = null;
    if (this.#untold === 0) return;
    const fields = { setting: "maxConnections", value: maxConnections, refused: this.#untold };
    this.#untold = 0;
    this.#log.warn(fields, "connections refused: too many are open");
    this.#timer = setTimeout(() => this.#tell(maxConnections), EVERY_MS);
    this.#timer.unref();
  }
}
