import { describeHandlerProblem, refusesSaves } from "../handlers/handler-problem.ts";
import type { HandlerProblem } from "../lib/developer-page.ts";

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

  /** Counts a finished reload. */
  built(): void {
    this.#buildCount++;
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
