import { noteFetched } from "./decoded-body.ts";
import { createBodyMethods } from "./fixed-body.ts";
import {
  impersonate,
  nativeGetter,
  nativeMethod,
  NativeHeaders,
  NativeRequest,
  overrideMembers,
  readContentType,
} from "./native.ts";
import {
  abortState,
  createLazyRequest,
  headersOf,
  materialise,
  requestState,
  signalOf,
  type RequestState,
} from "./request-state.ts";

/** The parts of an incoming request. */
export interface RequestParts {
  /** The method as it came. `request.method` gives a known method in its usual form (`GET` for `get`), as in Node. */
  method: string;
  /** Absolute, and as the URL Standard serializes it: `request.url` is this very string. */
  url: string;
  /** A field block; names in lower case. */
  fields: string;
  /** Version of the client's protocol; `null` or absent: `HTTP/1.1`. */
  protocol?: RequestState["protocol"];
  /** Number of the facts about the client's TLS (`lib/tls-facts.ts`); 0 or absent: none are known. */
  tls?: number;
  /** Bytes must not change later. A stream is locked when the handler first touches the body. */
  body: Uint8Array | ReadableStream<Uint8Array> | null;
}

/**
 * Creates a `Request` for a handler. It costs next to nothing while only its parts are used, and becomes Node's own
 * after that. Needs `installWebObjects()`.
 *
 * A GET or HEAD has no body here, whether or not one came: the Fetch Standard knows no such requests, and RFC 9110
 * section 9.3.1 gives their content no meaning. CONNECT, TRACE and TRACK have their method and fields, but cannot be
 * cloned, passed on or have a body stream: Node refuses to construct them.
 */
export function createRequest(parts: RequestParts): Request {
  const method = USUAL_METHODS.has(parts.method) ? parts.method : normaliseMethod(parts.method);
  let source: Uint8Array | null = null;
  let input: ReadableStream<Uint8Array> | null = null;
  if (parts.body instanceof ReadableStream) input = parts.body;
  else source = parts.body;
  if (method === "GET" || method === "HEAD") {
    input?.cancel().catch(ignore);
    source = input = null;
  }
  return createLazyRequest({
    method,
    url: parts.url,
    fields: parts.fields,
    protocol: parts.protocol ?? null,
    tls: parts.tls ?? 0,
    source,
    used: false,
    input,
    stream: null,
    headers: null,
    controller: null,
    abort: null,
    clones: null,
    real: null,
  });
}

/**
 * Aborts `request.signal`, even if it is first used later, and fails a body stream that was not read to its end. A
 * complete body stays readable. The first reason counts.
 *
 * @param request From `createRequest()`; its clones are aborted as well.
 * @param reason As for `AbortController.abort()`: `undefined` stands for an `AbortError`.
 */
export function abortRequest(request: Request, reason: unknown): void {
  const state = requestState(request);
  if (state === undefined) throw new TypeError("Cannot abort: not a request of createRequest()");
  abortState(state, reason === undefined ? new DOMException(ABORTED, "AbortError") : reason);
}

/** The global `Request`: Node's own objects, of lazy ones as well. */
export function FastRequest(this: object, ...args: [input?: unknown, init?: unknown]): object {
  // Throws the error of calling a class.
  if (new.target === undefined) return (NativeRequest as unknown as () => never)();
  if (args.length > 0) args[0] = resolve(args[0]);
  return Reflect.construct(NativeRequest, args, new.target) as object;
}

/** A `fetch` that takes lazy requests as well, on top of the present one, which instrumentation may have wrapped. */
export function wrapFetch(inner: typeof fetch): typeof fetch {
  const wrapped: typeof fetch = async (input, ...rest) =>
    // A lazy request becomes Node's, all else stays.
    noteFetched(await inner(resolve(input) as typeof input, ...rest));
  return Object.defineProperties(wrapped, {
    name: { value: inner.name },
    length: { value: inner.length },
  });
}

/** Gives Node's prototype the lazy members and `FastRequest` the looks of Node's class. Call it once. */
export function patchRequest(): void {
  overrideMembers(NativeRequest.prototype, members, resolve);
  impersonate(FastRequest, NativeRequest, {});
}

const ABORTED = "This operation was aborted";
const NORMALISED_METHODS = ["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"];
const USUAL_METHODS = new Set([...NORMALISED_METHODS, "PATCH"]);

/** Fetch Standard, "normalize a method": six methods in any letters, all others as they are. */
function normaliseMethod(method: string): string {
  const upper = method.toUpperCase();
  return NORMALISED_METHODS.includes(upper) ? upper : method;
}

const prototype = NativeRequest.prototype;

const native = {
  method: nativeGetter(prototype, "method"),
  url: nativeGetter(prototype, "url"),
  headers: nativeGetter(prototype, "headers"),
  signal: nativeGetter(prototype, "signal"),
  body: nativeGetter(prototype, "body"),
  bodyUsed: nativeGetter(prototype, "bodyUsed"),
  clone: nativeMethod(prototype, "clone"),
};

const bodyMethods = createBodyMethods({
  fixed(receiver) {
    const state = requestState(receiver);
    return state !== undefined && isParts(state) ? state : null;
  },
  resolve,
  contentType(receiver) {
    const state = requestState(receiver);
    return state === undefined
      ? readContentType(native.headers, receiver)
      : headersOf(state).get("content-type");
  },
  native: (name) => nativeMethod(prototype, name),
});

const members = Object.defineProperties(
  {
    get method(): unknown {
      const state = requestState(this);
      return state === undefined ? native.method.call(this) : state.method;
    },
    get url(): unknown {
      const state = requestState(this);
      return state === undefined ? native.url.call(this) : state.url;
    },
    get headers(): unknown {
      const state = requestState(this);
      return state === undefined ? native.headers.call(this) : headersOf(state);
    },
    get signal(): unknown {
      const state = requestState(this);
      return state === undefined ? native.signal.call(this) : signalOf(state);
    },
    get body(): unknown {
      const state = requestState(this);
      if (state === undefined) return native.body.call(this);
      if (state.source === null && state.input === null) return null;
      return native.body.call(state.real ?? materialise(state));
    },
    get bodyUsed(): unknown {
      const state = requestState(this);
      if (state === undefined) return native.bodyUsed.call(this);
      return state.real === null ? state.used : native.bodyUsed.call(state.real);
    },
    clone(): unknown {
      const state = requestState(this);
      if (state === undefined || !isParts(state) || state.used) {
        return native.clone.call(resolve(this));
      }
      const headers = state.headers === null ? null : new NativeHeaders(state.headers);
      const clone = { ...state, headers, controller: null, clones: null };
      (state.clones ??= []).push(clone);
      return createLazyRequest(clone);
    },
  },
  Object.getOwnPropertyDescriptors(bodyMethods),
);

/** True while the parts are all there is: a complete body or none, and no object of Node's. */
function isParts(state: RequestState): boolean {
  return state.real === null && state.input === null;
}

/** Node's own object behind a lazy one; anything else as it is, for Node to accept or refuse. */
function resolve(receiver: unknown): unknown {
  const state = requestState(receiver);
  return state === undefined ? receiver : materialise(state);
}

function ignore(): void {
  // The body is not needed any more, and an error of its source does not matter.
}
