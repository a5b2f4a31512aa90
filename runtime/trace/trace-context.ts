import { randomFillSync } from "node:crypto";
import { dropFields } from "../http/change-fields.ts";
import { findField } from "../http/find-field.ts";
import type { TraceContext } from "../lib/trace-context.ts";
import { toTraceParent } from "../lib/trace-parent.ts";

/** Longest `tracestate` that is passed on (Trace Context, section 3.3.1.5). */
const MOST_STATE = 512;

/**
 * Places a request in a trace: in that of the client, or in a new one.
 *
 * @param fields Field block of the request.
 * @param options.trustsParent Whether the decision of the client to sample holds. Strangers could fill the collector otherwise.
 * @param options.sample Share of the other traces that are sampled.
 */
export function placeInTrace(
  fields: string,
  {
    trustsParent,
    sample,
    ids,
  }: { trustsParent: boolean; sample: number; ids: Pick<TraceIds, "next" | "draw"> },
): TraceContext {
  const parent = fields.includes("traceparent\n")
    ? toTraceParent(findField(fields, "traceparent"))
    : undefined;
  if (parent === undefined) {
    const [traceId, spanId] = [ids.next(16), ids.next(8)];
    return { traceId, spanId, parentId: null, traceState: "", isSampled: draw(sample, ids) };
  }
  const [, traceId = "", parentId = "", flags = ""] = parent.split("-");
  const state = findField(fields, "tracestate") ?? "";
  return {
    traceId,
    spanId: ids.next(8),
    parentId,
    traceState: state.length > MOST_STATE ? "" : state,
    isSampled: trustsParent ? (Number.parseInt(flags, 16) & 1) === 1 : draw(sample, ids),
  };
}

function draw(sample: number, ids: Pick<TraceIds, "draw">): boolean {
  return sample === 1 || (sample > 0 && ids.draw() < sample);
}

/** Returns a field block whose `traceparent` names this server's span. The `tracestate` of the client stays with its trace. */
export function withTraceFields(fields: string, context: TraceContext): string {
  const { traceId, spanId, parentId, traceState, isSampled } = context;
  const kept =
    fields.includes("traceparent\n") || fields.includes("tracestate\n")
      ? dropFields(fields, isOld)
      : fields;
  const own = `traceparent\n00-${traceId}-${spanId}-${isSampled ? "01" : "00"}`;
  const state = parentId === null || traceState === "" ? "" : `\ntracestate\n${traceState}`;
  return `${kept}${kept === "" ? "" : "\n"}${own}${state}`;
}

function isOld(name: string): boolean {
  return name === "traceparent" || name === "tracestate";
}

const POOL_BYTES = 4096;
/** The last eight digits of an id decide whether it may be zero, so that nearly all are read once. */
const ZEROS = "00000000";

/**
 * Makes random ids. Takes random digits in advance: a call of the system, or a call into Node for each id, would cost more
 * than the rest of a trace.
 */
export class TraceIds {
  readonly #pool = Buffer.alloc(POOL_BYTES);
  #digits = "";
  #at = 0;

  /** Returns an id of so many bytes, in hex, that is not all zeros. */
  next(bytes: 8 | 16): string {
    for (;;) {
      const id = this.#take(2 * bytes);
      if (!id.endsWith(ZEROS) || /[^0]/.test(id)) return id;
    }
  }

  /** Returns a number from 0 to 1, without 1. A sample need not be a secret, so that it takes none of the digits. */
  draw(): number {
    return Math.random();
  }

  #take(length: number): string {
    if (this.#at + length > this.#digits.length) {
      this.#digits = randomFillSync(this.#pool).toString("hex");
      this.#at = 0;
    }
    const at = this.#at;
    this.#at += length;
    return this.#digits.slice(at, at + length);
  }
}
