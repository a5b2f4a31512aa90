import type { Field } from "./field-block.ts";
import { SeenBefore } from "../lib/seen-before.ts";
import { SERVER_FIELDS } from "../lib/server-fields.ts";

/** Response fields in a form that the engine writes in one call. */
export interface FieldLines {
  /** Name of the first field; empty: there are no fields. */
  name: Buffer;
  /** Value of the first field, followed by all further fields as whole lines. */
  value: Buffer;
}

/** The fields of a block that an engine may write. */
export interface CheckedFields {
  /** Without the fields that only the server writes. Names are as the responder spelled them. */
  fields: readonly Field[];
  /** The block's `content-length`; `null`: none, or not a number. */
  contentLength: string | null;
}

/** A checked field block, ready to be written by uWebSockets.js. */
export interface PreparedFields {
  /** The fields of a response that leaves the connection open. */
  kept: FieldLines;
  /** The fields of the last response of a connection. */
  last: FieldLines;
  /** The block's `content-length`. Used only for responses without a body. */
  contentLength: string | null;
}

/**
 * Time for which a client may reuse an idle connection. The library closes it after 8 to 12 s, and a request that the
 * client sends at that moment fails. With this value, `fetch` of Node 20 closes its connection after 5 s, and an
 * `http.Agent` with a longer `timeout` after 6 s. Neither needs `Connection: keep-alive`.
 */
const KEEP_ALIVE = "timeout=7";

const NONE: FieldLines = { name: Buffer.alloc(0), value: Buffer.alloc(0) };

/**
 * Characters of all cached blocks, and of the longest one. Each file of the public folders has a block of its own, of
 * about 200 characters: the 10,000 files that clients ask for most fit in. The length keeps out most blocks with a
 * cookie, which differ each time.
 */
const REMEMBERED_CHARACTERS = 2 * 1024 * 1024;
const REMEMBERED_LENGTH = 512;

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/**
 * A length that the library can count to. The library misreads one of 20 digits and ends the response too early. The
 * next call for that response would end the process.
 */
const LENGTH = /^\d{1,15}$/;

/**
 * Caches response fields in the form that an engine writes, for blocks that occur more than once: blocks with a date or an
 * identifier differ each time, and would push out all others.
 */
export class ResponseFields<T extends object> {
  readonly #prepare: (block: string) => T | null;
  readonly #known = new Map<string, T>();
  readonly #seen = new SeenBefore();
  #characters = 0;

  /** @param prepare Returns the prepared form of a block; `null` when it is invalid. */
  constructor(prepare: (block: string) => T | null) {
    this.#prepare = prepare;
  }

  /** Returns `null` when a name or a value is invalid: it could break out of its line. */
  prepare(block: string): T | null {
    const known = this.#known.get(block);
    if (known !== undefined) return known;
    const prepared = this.#prepare(block);
    if (prepared !== null && block.length <= REMEMBERED_LENGTH && this.#seen.note(block)) {
      this.#remember(block, prepared);
    }
    return prepared;
  }

  #remember(block: string, prepared: T): void {
    if (this.#characters + block.length > REMEMBERED_CHARACTERS) {
      this.#known.clear();
      this.#characters = 0;
    }
    this.#characters += block.length;
    this.#known.set(block, prepared);
  }
}

/**
 * Checks a field block, and leaves out the fields that only the server writes.
 *
 * @returns `null` when a name or a value is invalid.
 */
export function checkFields(block: string): CheckedFields | null {
  const parts = block === "" ? [] : block.split("\n");
  if (parts.length % 2 !== 0) return null;
  const fields: Field[] = [];
  let contentLength: string | null = null;
  for (let at = 0; at < parts.length; at += 2) {
    const name = parts[at] ?? "";
    const value = parts[at + 1] ?? "";
    if (!TOKEN.test(name) || !VALUE.test(value)) return null;
    const lower = name.toLowerCase();
    if (lower === "content-length" && LENGTH.test(value)) contentLength = value;
    // A handler that proxies an answer may pass them on.
    if (!SERVER_FIELDS.has(lower)) fields.push([name, value]);
  }
  return { fields, contentLength };
}

/**
 * Checks a field block and prepares it for one call: the name of the first field, and a value that contains all further
 * lines. Leaves out the fields that only the server writes. uWebSockets.js writes values unchanged, and each call into
 * it costs more than the text.
 *
 * @returns `null` when a name or a value is invalid.
 */
export function prepareFields(block: string): PreparedFields | null {
  const checked = checkFields(block);
  if (checked === null) return null;
  const { fields, contentLength } = checked;
  const [first, ...others] = fields;
  // Each character of a field is one byte, whereas the library would write a string as UTF-8. Buffers are faster, too:
  // the library converts a string each time, which takes 1.3 µs of the primary's 11 per response (server CPU, side by
  // side).
  if (first === undefined) {
    return {
      kept: { name: Buffer.from("Keep-Alive"), value: Buffer.from(KEEP_ALIVE) },
      last: NONE,
      contentLength,
    };
  }
  const [name, firstValue] = first;
  const value = others.reduce((text, field) => `${text}\r\n${field[0]}: ${field[1]}`, firstValue);
  const bytes = Buffer.from(`${value}\r\nKeep-Alive: ${KEEP_ALIVE}`, "latin1");
  const nameBytes = Buffer.from(name);
  return {
    kept: { name: nameBytes, value: bytes },
    last: { name: nameBytes, value: bytes.subarray(0, value.length) },
    contentLength,
  };
}
