import { describeHandlerProblem, refusesSaves } from "../handlers/handler-problem.ts";
import type { HandlerProblem } from "../lib/developer-page.ts";

/** What the pages of development show, beside the handlers that serve. */
export class Development {
  #buildCount = 0;
  #problem: HandlerProblem | null = null;
  /** Names the last refusal. A refusal that was described late must not hide that a later reload went well. */
  #refusal: object | null = null;

  /** The number of reloads, also refused ones: a page that a developer looks at loads itself anew with each. */
  get buildCount(): number {
    return this.#buildCount;
  }

  /** Why the handlers and settings on disk do not serve; `null`: they do. */
  get problem(): HandlerProblem | null {
    return this.#problem;
  }

  /** Counts a reload that has ended. */
  built(): void {
    this.#buildCount++;
  }

  /** Notes that handlers and settings serve as they are on disk. */
  solved(): void {
    this.#problem = null;
    this.#refusal = null;
  }

  /** Notes why a reload was refused, if that is a mistake in handlers or settings. */
  async refused(error: unknown): Promise<void> {
    if (!refusesSaves(error)) return;
    const refusal = {};
    this.#refusal = refusal;
    const problem = await describeHandlerProblem(error, process.cwd());
    if (this.#refusal === refusal) this.#problem = problem;
  }
}
