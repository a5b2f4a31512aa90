import { createAbortableStream, type AbortableStream } from "./abortable-stream.ts";
import { copyHeaders, parseFields } from "./fields.ts";
import { NativeRequest } from "./native.ts";
import { Existing, markAsUncloneable } from "./object-identity.ts";

/**
 * The state of a lazy request.
 *
 * `headers` and `controller` are created at their first use. From then on they count, even when there is a `real`
 * object. The body is that of `real` once it exists.
 */
export interface RequestState {
  readonly method: string;
  readonly url: string;
  readonly fields: string;
  /** Version of the client's protocol; `null`: `HTTP/1.1`. */
  readonly protocol: "HTTP/1.0" | "HTTP/2.0" | null;
  /** Number of the facts about the client's TLS (`lib/tls-facts.ts`); 0: none are known. */
  readonly tls: number;
  /** A complete body. `used` refers to it until `real` exists. */
  readonly source: Uint8Array | null;
  used: boolean;
  /** A body that still arrives, and the stream in front of it, created at its first use. */
  readonly input: ReadableStream<Uint8Array> | null;
  stream: AbortableStream | null;
  headers: Headers | null;
  controller: AbortController | null;
  /** Set once aborted. */
  abort: { readonly reason: unknown } | null;
  /** Clones that are lazy as well. Clones that Node made follow the signal. */
  clones: RequestState[] | null;
  real: Request | null;
}

/** Returns the state of a lazy request; `undefined` for anything else. */
export function requestState(value: unknown): RequestState | undefined {
  return Slot.of(value);
}

export function createLazyRequest(state: RequestState): Request {
  const request = new Shell();
  // oxlint-disable-next-line no-new -- it returns `request`
  new Slot(request, state);
  markAsUncloneable(request);
  return request;
}

export function headersOf(state: RequestState): Headers {
  return (state.headers ??= parseFields(state.fields));
}

export function signalOf(state: RequestState): AbortSignal {
  if (state.controller === null) {
    state.controller = new AbortController();
    if (state.abort !== null) state.controller.abort(state.abort.reason);
  }
  return state.controller.signal;
}

/** Aborts a request and its clones. The first reason counts. */
export function abortState(state: RequestState, reason: unknown): void {
  if (state.abort !== null) return;
  state.abort = { reason };
  state.stream?.abort(reason);
  state.controller?.abort(reason);
  for (const clone of state.clones ?? []) abortState(clone, reason);
}

/**
 * Returns Node's own object for a lazy request, with its present fields. Always the same object.
 *
 * Its signal follows the lazy one's. Throws Node's `TypeError` for CONNECT, TRACE and TRACK.
 */
export function materialise(state: RequestState): Request {
  if (state.real === null) {
    const { url, method } = state;
    const headers = state.headers ?? parseFields(state.fields);
    const body = openBody(state);
    const signal = signalOf(state);
    state.real = new NativeRequest(url, { method, headers, body, signal, duplex: "half" });
    state.headers ??= state.real.headers;
    // The stream of a used body was read and stays locked.
    if (state.used) state.real.arrayBuffer().catch(ignore);
  } else if (state.headers !== null && state.headers !== state.real.headers) {
    copyHeaders(state.headers, state.real.headers);
  }
  return state.real;
}

function openBody(state: RequestState): Uint8Array | ReadableStream | null {
  if (state.input === null) return state.source;
  if (state.stream === null) {
    state.stream = createAbortableStream(state.input);
    if (state.abort !== null) state.stream.abort(state.abort.reason);
  }
  return state.stream.readable;
}

class Slot extends Existing {
  readonly #state: RequestState;

  constructor(target: object, state: RequestState) {
    super(target);
    this.#state = state;
  }

  static of(value: unknown): RequestState | undefined {
    return typeof value === "object" && value !== null && #state in value
      ? value.#state
      : undefined;
  }
}

// An ordinary function, unlike a class, can be given its prototype; three times faster than `Object.create`.
const Shell = function (): void {} as unknown as new () => Request;
Shell.prototype = NativeRequest.prototype;

function ignore(): void {
  // Reading bytes that are at hand does not fail.
}
