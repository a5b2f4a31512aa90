import type { Logger } from "../log.ts";

/** Whoever opens too many connections opens thousands: the log says so at once, and then once in this time. */
const EVERY_MS = 10_000;

/** Tells the log that connections are refused, and how many: those have no access line. */
export class RefusedConnections {
  readonly #log: Logger;
  #untold = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** One more was closed as it came. */
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
