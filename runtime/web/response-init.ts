import { isArrayBuffer, isUint8Array } from "node:util/types";
import { toInitFields, type InitFields } from "./header-init.ts";
import { bodyOf, createBody, isUsable, type ResponseBody } from "./response-body.ts";
import type { ResponseState } from "./response-state.ts";

/** An init whose members were read, once each, as Node does it. If it is not `plain`, Node must judge it. */
export type ReadInit = PlainInit | { readonly plain: false; readonly init: unknown };

export interface PlainInit {
  readonly plain: true;
  readonly status: number;
  readonly statusText: string;
  readonly headers: unknown;
  readonly fields: InitFields;
}

export function readInit(init: unknown): ReadInit {
  if (init === undefined) return NO_INIT;
  if (typeof init !== "object" || init === null) return { plain: false, init };
  const { status = 200, statusText = "", headers } = init as Record<string, unknown>; // members may be anything
  const fields = toInitFields(headers);
  return fields !== null &&
    typeof status === "number" &&
    status >= 200 &&
    status <= 599 &&
    Number.isInteger(status) &&
    typeof statusText === "string" &&
    isReasonPhrase(statusText)
    ? { plain: true, status, statusText, headers, fields }
    : { plain: false, init: { status, statusText, headers } };
}

/** Returns the init for Node's constructor, made of the members that were read. */
export function toNativeInit(read: ReadInit): unknown {
  if (!read.plain) return read.init;
  const { status, statusText, headers } = read;
  return { status, statusText, headers };
}

/**
 * Returns a response's state, or `null` if its body is not simple, or not allowed with its status.
 *
 * @param stringType The `content-type` of a string without one (Fetch Standard, "initialize a response").
 */
export function toState(body: unknown, init: PlainInit, stringType: string): ResponseState | null {
  const { status, statusText } = init;
  let { block: fields } = init.fields;
  let known: ResponseBody | null = null;
  if (body !== null) {
    if (status === 204 || status === 205 || status === 304) return null;
    known = toBody(body);
    if (known === null) return null;
    if (typeof body === "string" && !init.fields.hasContentType) {
      fields = `${fields}${fields === "" ? "" : "\n"}content-type\n${stringType}`;
    }
  }
  return { status, statusText, fields, body: known, headers: null, real: null };
}

const NO_INIT: PlainInit = {
  plain: true,
  status: 200,
  statusText: "",
  headers: undefined,
  fields: { block: "", hasContentType: false },
};

/** Tells whether undici accepts a reason phrase: nothing that RFC 9112 section 4 forbids, and nothing above 0xFF. */
function isReasonPhrase(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f || code > 0xff) return false;
  }
  return true;
}

/**
 * Accepts a string, a copy of ordinary bytes, or the stream of another fast response. `null` for all that Node may
 * refuse.
 */
function toBody(body: unknown): ResponseBody | null {
  if (typeof body === "string") return createBody(body);
  if (isUint8Array(body)) {
    // A copy, since the caller may change its bytes.
    return body.byteLength > 0 && isOrdinary(body.buffer) ? createBody(new Uint8Array(body)) : null;
  }
  if (isArrayBuffer(body)) {
    return body.byteLength > 0 && isOrdinary(body)
      ? createBody(new Uint8Array(body.slice(0)))
      : null;
  }
  if (!(body instanceof ReadableStream)) return null;
  const shared = bodyOf(body);
  return shared !== undefined && isUsable(shared) ? shared : null;
}

/** Neither shared nor resizable. A detached one has no bytes. */
function isOrdinary(buffer: ArrayBufferLike): boolean {
  // `resizable` is not in the types of ES2023.
  return isArrayBuffer(buffer) && (buffer as { resizable?: boolean }).resizable !== true;
}
