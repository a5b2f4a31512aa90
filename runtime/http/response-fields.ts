/** Fields made ready to be written in one call. */
export interface FieldLines {
  /** The first field's name; empty when there are none. */
  name: Buffer;
  /** Its value, and all further fields as whole lines. */
  value: Buffer;
}

/** A field block made ready to be written, as often as the same block comes. */
export interface PreparedFields {
  /** For a response after which the connection stays. */
  kept: FieldLines;
  /** For the last one of its connection. */
  last: FieldLines;
  /** The body's size according to the block. Only a response without a body may state it itself. */
  contentLength: string | null;
}

/**
 * How long a client may rely on an idle connection, in seconds. The library closes it after 8 to 12 s, unasked; a request
 * that is sent at that moment fails. Seen with Node 20: `fetch` closes its connection after 5 s then, an `http.Agent` that
 * has a longer `timeout` after 6 s. Neither needs `Connection: keep-alive`.
 */
const KEEP_ALIVE = "timeout=7";

const NONE: FieldLines = { name: Buffer.alloc(0), value: Buffer.alloc(0) };

/** Blocks that are remembered, and how long one may be: constant blocks, not those with a cookie or a date in them. */
const REMEMBERED = 512;
const REMEMBERED_LENGTH = 512;

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/**
 * A size that the library can count to. It takes 20 digits for another number and ends the response too early, so a later
 * call for it ends the process.
 */
const LENGTH = /^\d{1,15}$/;

/**
 * Fields that are ours to write: framing, the connection, the time (RFC 9110 sections 6.6.1, 7.6.1; RFC 9112 section
 * 6). A handler that proxies an answer brings them along.
 */
const OURS: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "date",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Checks and prepares response fields; the same few blocks come again and again, so they are remembered. */
export class ResponseFields {
  readonly #known = new Map<string, PreparedFields>();

  /** `null` when a name or a value cannot be written: it would break out of its line. */
  prepare(block: string): PreparedFields | null {
    const known = this.#known.get(block);
    if (known !== undefined) return known;
    const prepared = prepareFields(block);
    if (prepared !== null && block.length <= REMEMBERED_LENGTH) {
      if (this.#known.size >= REMEMBERED) this.#known.clear();
      this.#known.set(block, prepared);
    }
    return prepared;
  }
}

/**
 * Leaves out the fields that the server writes itself, and joins the others for one call: a name, and a value that goes
 * on with further lines. uWebSockets.js writes values as they are, and each call into it costs more than the text.
 */
export function prepareFields(block: string): PreparedFields | null {
  const parts = block === "" ? [] : block.split("\n");
  if (parts.length % 2 !== 0) return null;
  let name = "";
  let value = "";
  let contentLength: string | null = null;
  for (let at = 0; at < parts.length; at += 2) {
    const fieldName = parts[at] ?? "";
    const fieldValue = parts[at + 1] ?? "";
    if (!TOKEN.test(fieldName) || !VALUE.test(fieldValue)) return null;
    const lower = fieldName.toLowerCase();
    if (lower === "content-length" && LENGTH.test(fieldValue)) contentLength = fieldValue;
    if (OURS.has(lower)) continue;
    if (name === "") {
      name = fieldName;
      value = fieldValue;
    } else {
      value += `\r\n${fieldName}: ${fieldValue}`;
    }
  }
  // A field's characters are bytes, and a string would be written in UTF-8. Besides, the library takes bytes as they
  // are but converts a string each time: 1.3 µs of the primary's 11 per response (server CPU, side by side).
  if (name === "") {
    return {
      kept: { name: Buffer.from("Keep-Alive"), value: Buffer.from(KEEP_ALIVE) },
      last: NONE,
      contentLength,
    };
  }
  const bytes = Buffer.from(`${value}\r\nKeep-Alive: ${KEEP_ALIVE}`, "latin1");
  const nameBytes = Buffer.from(name);
  return {
    kept: { name: nameBytes, value: bytes },
    last: { name: nameBytes, value: bytes.subarray(0, value.length) },
    contentLength,
  };
}
