import {
  describeHandlerProblem,
  isHandlerProblem,
  refusesSaves,
} from "../handlers/handler-problem.ts";
import type { HandlerProblem } from "../lib/developer-page.ts";

interface StartLog {
  error(fields: { code: string }, message: string): void;
}

/**
 * The state of development for the pages that the developer sees: the number of reloads, and the problem of the last
 * one.
 */
export class Development {
  #buildCount = 0;
  #problem: HandlerProblem | null = null;
  /**
   * Identifies the last refusal. A refused reload whose description is ready late must not hide the success of a later
   * reload.
   */
  #refusal: object | null = null;

  /** The number of reloads, with refused ones. An open development page reloads itself when this number changes. */
  get buildCount(): number {
    return this.#buildCount;
  }

  /** The reason why the handlers and settings on disk are not used; `null`: they are used. */
  get problem(): HandlerProblem | null {
    return this.#problem;
  }

  /** Follows a reload: counts it, and keeps the reason if it is refused. Settles like the reload. */
  async follow<T>(reload: () => Promise<T>): Promise<T> {
    try {
      return await reload();
    } catch (error) {
      await this.refused(error);
      throw error;
    } finally {
      this.#buildCount++;
    }
  }

  /**
   * Follows the start of the first handlers. If they cannot load, keeps and logs the reason, and resolves: the server
   * waits for a change of the handlers.
   *
   * @throws Every other error of the start; the signal's reason.
   */
  async followStart(
    starting: Promise<void>,
    { log, signal }: { log: StartLog; signal: AbortSignal },
  ): Promise<void> {
    try {
      await starting;
    } catch (error) {
      if (!isHandlerProblem(error)) throw error;
      signal.throwIfAborted();
      const { code, message } = error;
      log.error({ code }, `waiting for a change of the handlers: ${message}`);
      await this.refused(error);
    }
  }

  /** Clears the problem: the server now uses the handlers and settings on disk. */
  solved(): void {
    this.#problem = null;
    this.#refusal = null;
  }

  /** Stores the reason why a reload was refused, if it is a mistake in handlers or settings. */
  async refused(error: unknown): Promise<void> {
    if (!refusesSaves(error)) return;
    const refusal = {};
    this.#refusal = refusal;
    const problem = await describeHandlerProblem(error, process.cwd());
    if (this.#refusal === refusal) this.#problem = problem;
  }
}
