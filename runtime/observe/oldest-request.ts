/** The request that a worker has had for the longest time. */
export interface OldestRequest {
  readonly requestId: string;
  readonly method: string;
  /** Pattern of the route or fallback. */
  readonly route: string;
  /** Without the query, which may hold secrets. */
  readonly path: string;
  /** `given up`: the client was answered or has left, and the handler runs on. */
  readonly state: "waiting" | "answering" | "given up";
  /** Time since the worker got it. */
  readonly ageMs: number;
}
