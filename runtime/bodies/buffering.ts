/** How bodies are handled that are larger than the memory for them. */
export interface Buffering {
  /** A request body up to this size is gathered in memory before it needs a worker. */
  readonly bodyBufferBytes: number;
  /** A larger request body streams to a worker, or goes to disk until it is complete. */
  readonly bodyOverflow: "stream" | "spool";
  /** A response that is ahead of its client pauses its worker, or goes to disk. */
  readonly responseOverflow: "wait" | "spool";
}
