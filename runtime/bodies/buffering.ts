/** Settings for bodies that are larger than the memory for them. */
export interface Buffering {
  /** The server gathers a request body up to this size in memory before it asks for a worker. */
  readonly bodyBufferBytes: number;
  /** A larger request body streams to a worker, or goes to disk until it is complete. */
  readonly bodyOverflow: "stream" | "spool";
  /** A response that is ahead of its client pauses its worker, or goes to disk. */
  readonly responseOverflow: "wait" | "spool";
}
