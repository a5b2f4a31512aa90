import { toTraceParent } from "./trace-parent.ts";

/** Fields of a request for its access line. */
export interface ClientFields {
  /** Values, one character per byte; `undefined`: the request has no such field. */
  readonly referer: string | undefined;
  readonly userAgent: string | undefined;
  /** A valid `traceparent`. */
  readonly traceparent: string | undefined;
}

/** Returns the value of a field in a field block. */
export type FindField = (block: string, name: string) => string | undefined;

/**
 * Creates a function that finds the fields in a field block.
 *
 * It caches the last block. Consecutive requests of one connection mostly have the same fields, and comparing two
 * blocks takes 20 ns where a search takes 150 ns.
 */
export function createClientFields(find: FindField): (block: string) => ClientFields {
  let lastBlock = "";
  let last: ClientFields = { referer: undefined, userAgent: undefined, traceparent: undefined };
  return (block) => {
    if (block !== lastBlock) {
      lastBlock = block;
      last = {
        referer: find(block, "referer"),
        userAgent: find(block, "user-agent"),
        // Most requests have none, and this test is faster than a search.
        traceparent: block.includes("\ntraceparent\n")
          ? toTraceParent(find(block, "traceparent"))
          : undefined,
      };
    }
    return last;
  };
}
