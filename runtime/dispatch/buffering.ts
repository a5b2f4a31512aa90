/** What happens with bodies that are larger than memory shall hold. */
export interface Buffering {
  /** A request body up to this size is gathered in memory before a worker is involved. */
  readonly bodyBufferBytes: number;
  /** A larger one goes to a worker while it comes, or to disk until it is complete. */
  readonly bodyOverflow: "stream" | "spool";
  /** A response that is ahead of its client holds its worker back, or goes to disk. */
  readonly responseOverflow: "wait" | "spool";
}
