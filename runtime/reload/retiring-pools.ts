import type { HandlerPool } from "../handlers/handler-pool.ts";
import { settledWithin } from "../lib/settled-within.ts";
import type { Logger } from "../log/log.ts";

/**
 * Most retiring pools of one name. Streams may last for hours, so without a limit workers of many reloads would
 * accumulate.
 */
const MOST_OF_A_NAME = 4;

/** The same in development, where every change reloads and an open page may read a stream. */
const MOST_OF_A_NAME_IN_DEVELOPMENT = 1;

/** Replaced pools that still answer their exchanges. */
export class RetiringPools {
  readonly #log: Logger;
  readonly #mostOfAName: number;
  /** Oldest first. */
  readonly #pools = new Set<HandlerPool>();

  constructor(log: Logger, mode: "production" | "development") {
    this.#log = log;
    this.#mostOfAName = mode === "development" ? MOST_OF_A_NAME_IN_DEVELOPMENT : MOST_OF_A_NAME;
  }

  get all(): HandlerPool[] {
    return [...this.#pools];
  }

  /**
   * Retires a pool in the background. This may take as long as the pool's slowest exchange.
   *
   * @param after The pool takes requests until this resolves, or the grace is over.
   */
  add(pool: HandlerPool, drainGraceMs: number, after: Promise<void>): void {
    const report = (error: unknown): void =>
      this.#log.error({ err: error }, "cannot end the workers of a previous generation");
    this.#pools.add(pool);
    void settledWithin(after, drainGraceMs)
      .then(() => pool.retire(drainGraceMs))
      .catch(report)
      .finally(() => this.#pools.delete(pool));
    const { name } = pool.plan;
    const namesakes = this.all.filter(({ plan }) => plan.name === name);
    const tooMany = namesakes.slice(0, Math.max(0, namesakes.length - this.#mostOfAName));
    for (const oldest of tooMany) {
      const { id } = oldest.manifest;
      this.#log.info(
        { generation: id, pool: name, drainGraceMs },
        "closing an old pool: too many pools of this name still answer requests",
      );
      oldest.close(drainGraceMs).catch(report);
    }
  }
}
