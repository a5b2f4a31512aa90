/**
 * The next state of one part of the server, prepared while the present state serves. The owner must call exactly one of
 * the two methods.
 */
export interface Prepared {
  /** Replaces the present state by the next one. Is synchronous and never fails. */
  commit(): void;
  /** Closes the next state. The present state is unchanged. */
  discard(): Promise<void>;
}
