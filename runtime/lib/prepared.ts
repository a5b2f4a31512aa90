/**
 * The next state of one part of the server, ready beside the state that serves. Its owner calls exactly one of the two.
 */
export interface Prepared {
  /** Puts the next state in the place of the present one. Never waits, and never fails. */
  commit(): void;
  /** Closes the next state. The present one has not noticed it. */
  discard(): Promise<void>;
}
