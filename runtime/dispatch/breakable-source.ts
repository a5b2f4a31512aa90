import { WrappingSource } from "../bodies/wrapping-source.ts";

/** The body of an answer whose request may lose its own body. */
export class BreakableSource extends WrappingSource {
  /** Breaks the answer off, with the status 500 if none of it has left. Does nothing after its end. */
  break(): void {
    this.fail(500);
  }
}
