import { isProxy } from "node:util/types";
import { NativeHeaders } from "./native.ts";

/** Fields in block form, checked and in lower case. */
export interface InitFields {
  readonly block: string;
  readonly hasContentType: boolean;
}

/**
 * Returns the `headers` of a `ResponseInit` as a block, or `null` for Node to judge.
 *
 * `null` does not mean invalid. It means not one of the plain shapes (an object, an array of pairs, `Headers`) with
 * plain tokens and values. Everything that is valid here is valid for Node, with the same result (Fetch Standard, "fill
 * a Headers object"). The differential tests compare the two.
 */
export function toInitFields(init: unknown): InitFields | null {
  if (init === undefined) return NO_FIELDS;
  if (typeof init !== "object" || init === null || isProxy(init)) return null;
  const prototype: unknown = Object.getPrototypeOf(init);
  if (prototype === Object.prototype || prototype === null) return fromRecord(init);
  if (Array.isArray(init)) return fromPairs(init);
  return init instanceof NativeHeaders ? fromHeaders(init) : null;
}

const NO_FIELDS: InitFields = Object.freeze({ block: "", hasContentType: false });
const TAB = 0x09;
const SPACE = 0x20;

function fromRecord(record: object): InitFields | null {
  let block = "";
  let hasContentType = false;
  let mayRepeat = false;
  for (const key of Reflect.ownKeys(record)) {
    if (typeof key === "symbol") return null;
    const name = toFieldName(key);
    const value = toFieldValue((record as Record<string, unknown>)[key]); // `key` is its own
    if (name === null || value === null) return null;
    // Keys are distinct as they are written: two can only be one field if one of them was not in lower case.
    if (name !== key) mayRepeat = true;
    if (mayRepeat && mayContain(block, name)) return null;
    if (name === "content-type") hasContentType = true;
    block = block === "" ? `${name}\n${value}` : `${block}\n${name}\n${value}`;
  }
  return { block, hasContentType };
}

function fromPairs(pairs: unknown[]): InitFields | null {
  if (pairs[Symbol.iterator] !== Array.prototype[Symbol.iterator]) return null;
  let block = "";
  let hasContentType = false;
  for (const pair of pairs) {
    if (!Array.isArray(pair) || pair.length !== 2 || isProxy(pair)) return null;
    if (pair[Symbol.iterator] !== Array.prototype[Symbol.iterator]) return null;
    const key: unknown = pair[0];
    const name = typeof key === "string" ? toFieldName(key) : null;
    const value = toFieldValue(pair[1]);
    if (name === null || value === null) return null;
    if (name !== "set-cookie" && mayContain(block, name)) return null;
    if (name === "content-type") hasContentType = true;
    block = block === "" ? `${name}\n${value}` : `${block}\n${name}\n${value}`;
  }
  return { block, hasContentType };
}

function fromHeaders(headers: Headers): InitFields | null {
  // Like undici: an overridden iteration is run; otherwise the fields are copied from inside.
  if (headers[Symbol.iterator] !== nativeEntries) return null;
  let block = "";
  let hasContentType = false;
  try {
    nativeForEach.call(headers, (value, name) => {
      if (name === "content-type") hasContentType = true;
      block = block === "" ? `${name}\n${value}` : `${block}\n${name}\n${value}`;
    });
  } catch {
    return null; // has the prototype but is none
  }
  return { block, hasContentType };
}

const { entries: nativeEntries, forEach: nativeForEach } = NativeHeaders.prototype;

/** May be true although only a value equals the name: then Node does the work. */
function mayContain(block: string, name: string): boolean {
  return block !== "" && `\n${block}\n`.includes(`\n${name}\n`);
}

/**
 * Names as handlers write them, mapped to lower case. Handlers use few; the bound is for handlers that make names up.
 */
const knownNames = new Map<string, string>();
const KNOWN_NAMES_LIMIT = 1024;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}$/;

/** Returns the name in lower case if it is a token (RFC 9110 section 5.6.2) of usual length. */
function toFieldName(name: string): string | null {
  const known = knownNames.get(name);
  if (known !== undefined) return known;
  // undici loses a field of this name, as a key of an ordinary object.
  if (!TOKEN.test(name) || name === "__proto__") return null;
  const lower = name.toLowerCase();
  if (knownNames.size < KNOWN_NAMES_LIMIT) knownNames.set(name, lower);
  return lower;
}

/** Returns the value if it needs no trimming, and has no control characters and nothing above 0xFF. */
function toFieldValue(value: unknown): string | null {
  const text = typeof value === "number" ? String(value) : value;
  if (typeof text !== "string") return null;
  const { length } = text;
  if (length === 0) return text;
  for (let at = 0; at < length; at++) {
    const code = text.charCodeAt(at);
    if (code < SPACE ? code !== TAB : code > 0xff) return null;
  }
  return isBlank(text.charCodeAt(0)) || isBlank(text.charCodeAt(length - 1)) ? null : text;
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}
