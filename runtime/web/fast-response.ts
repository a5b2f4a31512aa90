import { readAnyResponse, usedResponse, type ResponseParts } from "./any-response.ts";
import { isDecodedStream, noteDecodedStream } from "./decoded-body.ts";
import { formatFields } from "./fields.ts";
import { createBodyMethods, type BodySource } from "./fixed-body.ts";
import {
  impersonate,
  NativeHeaders,
  nativeGetter,
  nativeMethod,
  NativeResponse,
  overrideMembers,
  readContentType,
} from "./native.ts";
import { createBody, isUsable, isUsed, openStream, takeSource } from "./response-body.ts";
import { readInit, toNativeInit, toState } from "./response-init.ts";
import {
  attachResponse,
  createResponse,
  headersOf,
  materialise,
  responseState,
} from "./response-state.ts";
import { readUpgradeInit } from "./upgrade-response.ts";

/**
 * The global `Response`: keeps simple responses as their parts and returns Node's own object for all others.
 *
 * Simple: a string, bytes or no body, and an init without surprises. Everything else, valid or not, goes to Node's
 * constructor, so errors and conversions are Node's. Both kinds have the same prototype object.
 */
export function FastResponse(this: object, body: unknown = null, init?: unknown): object {
  // Throws the error of calling a class.
  if (new.target === undefined) return (NativeResponse as unknown as () => never)();
  const read = readInit(init);
  const state = read.plain ? toState(body, read, "text/plain;charset=UTF-8") : null;
  if (state === null) {
    const upgrade = read.plain ? null : readUpgradeInit(body, init);
    if (upgrade !== null) {
      attachResponse(this, upgrade.state);
      return Object.assign(this, { webSocket: upgrade.webSocket });
    }
    return Reflect.construct(NativeResponse, [body, toNativeInit(read)], new.target) as object;
  }
  attachResponse(this, state);
  return this;
}

/** Gives Node's prototype the fast members and `FastResponse` the looks of Node's class. Call it once. */
export function patchResponse(): void {
  overrideMembers(NativeResponse.prototype, members, resolve);
  impersonate(FastResponse, NativeResponse, statics);
}

/**
 * Takes the parts to send out of a response, and marks its body as used.
 *
 * @param value A handler's result: a fast response, Node's own (also from `fetch()`), one of a subclass, or one of
 *   another implementation of the Fetch Standard.
 * @returns `null` if `value` is no response. A string in `body` is well-formed and stands for its UTF-8 bytes.
 * @throws `ERR_HANDLER_BAD_RESPONSE` for a body that was used or is locked, for `Response.error()` and for a status
 *   outside of 200 to 599.
 */
export function readResponse(value: unknown): ResponseParts | null {
  const state = responseState(value);
  if (state === undefined || state.real !== null || !isPlain(value)) return readAnyResponse(value);
  const { status, statusText, headers, body } = state;
  if (body !== null && !isUsable(body)) throw usedResponse();
  const fields = headers === null ? state.fields : formatFields(headers);
  return { status, statusText, fields, body: body === null ? null : takeSource(body) };
}

/** Neither of a subclass nor with members of its own: nothing is overridden. */
function isPlain(value: unknown): boolean {
  return (
    Object.getPrototypeOf(value) === NativeResponse.prototype &&
    Object.getOwnPropertyNames(value).length === 0
  );
}

const nativeJson = nativeMethod(NativeResponse, "json");

const statics = {
  json(this: unknown, data: unknown, ...rest: [init?: unknown]): unknown {
    const read = readInit(rest[0]);
    if (read.plain) {
      // There is no text for `undefined`, functions and symbols; the types do not say so.
      const text = JSON.stringify(data) as string | undefined;
      const state = text === undefined ? null : toState(text, read, "application/json");
      if (state !== null) return createResponse(state);
    }
    // Node wants to know how many arguments there are.
    const args = rest.length > 0 ? [data, toNativeInit(read)] : [data].slice(0, arguments.length);
    return Reflect.apply(nativeJson, NativeResponse, args);
  },
};

const prototype = NativeResponse.prototype;

const native = {
  type: nativeGetter(prototype, "type"),
  url: nativeGetter(prototype, "url"),
  redirected: nativeGetter(prototype, "redirected"),
  status: nativeGetter(prototype, "status"),
  ok: nativeGetter(prototype, "ok"),
  statusText: nativeGetter(prototype, "statusText"),
  headers: nativeGetter(prototype, "headers"),
  body: nativeGetter(prototype, "body"),
  bodyUsed: nativeGetter(prototype, "bodyUsed"),
  clone: nativeMethod(prototype, "clone"),
};

const NO_BODY: BodySource = { source: null, used: false };

const bodyMethods = createBodyMethods({
  fixed(receiver) {
    const state = responseState(receiver);
    if (state === undefined || state.real !== null) return null;
    if (state.body === null) return NO_BODY;
    return state.body.stream === null ? state.body : null;
  },
  resolve,
  contentType(receiver) {
    const state = responseState(receiver);
    return state === undefined
      ? readContentType(native.headers, receiver)
      : headersOf(state).get("content-type");
  },
  native: (name) => nativeMethod(prototype, name),
});

const members = Object.defineProperties(
  {
    get type(): unknown {
      return responseState(this) === undefined ? native.type.call(this) : "default";
    },
    get url(): unknown {
      return responseState(this) === undefined ? native.url.call(this) : "";
    },
    get redirected(): unknown {
      return responseState(this) === undefined ? native.redirected.call(this) : false;
    },
    get status(): unknown {
      const state = responseState(this);
      return state === undefined ? native.status.call(this) : state.status;
    },
    get ok(): unknown {
      const state = responseState(this);
      if (state === undefined) return native.ok.call(this);
      return state.status >= 200 && state.status <= 299;
    },
    get statusText(): unknown {
      const state = responseState(this);
      return state === undefined ? native.statusText.call(this) : state.statusText;
    },
    get headers(): unknown {
      const state = responseState(this);
      return state === undefined ? native.headers.call(this) : headersOf(state);
    },
    get body(): unknown {
      const state = responseState(this);
      if (state === undefined) return native.body.call(this);
      if (state.real !== null) return native.body.call(state.real);
      return state.body === null ? null : openStream(state.body);
    },
    get bodyUsed(): unknown {
      const state = responseState(this);
      if (state === undefined) return native.bodyUsed.call(this);
      if (state.real !== null) return native.bodyUsed.call(state.real);
      return state.body !== null && isUsed(state.body);
    },
    clone(): unknown {
      const state = responseState(this);
      if (state === undefined || state.real !== null) return cloneNative(this);
      const { body } = state;
      // With a stream, Node's way shows: the stream that was there is locked, and there are two new ones.
      if (body !== null && (body.used || body.stream !== null)) return cloneNative(this);
      return createResponse({
        ...state,
        headers: state.headers === null ? null : new NativeHeaders(state.headers),
        body: body === null ? null : createBody(body.source),
      });
    },
  },
  Object.getOwnPropertyDescriptors(bodyMethods),
);

/** Clones with Node's own method. It gives both responses a new stream, decoded if the one before was. */
function cloneNative(receiver: unknown): unknown {
  const response = resolve(receiver);
  const isDecoded =
    response instanceof NativeResponse && isDecodedStream(native.body.call(response));
  const clone = native.clone.call(response);
  if (isDecoded) {
    for (const each of [response, clone]) noteDecodedStream(native.body.call(each));
  }
  return clone;
}

/** Node's own object behind a fast one; anything else as it is, for Node to accept or refuse. */
function resolve(receiver: unknown): unknown {
  const state = responseState(receiver);
  return state === undefined ? receiver : materialise(state);
}
