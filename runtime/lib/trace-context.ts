/** The place of a request in a trace (W3C Trace Context). */
export interface TraceContext {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits: the parent of all that the request causes. */
  readonly spanId: string;
  /** The span of the client; `null`: the trace begins here. */
  readonly parentId: string | null;
  /** The field `tracestate` of the client, or `""`. */
  readonly traceState: string;
  readonly isSampled: boolean;
}
