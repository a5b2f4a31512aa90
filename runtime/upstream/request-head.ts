import { REQUEST_ID_FIELD } from "../lib/request-id.ts";
import type { UpstreamRequest } from "./exchange.ts";

/** Most cached blocks, and the length of the longest one: browsers send up to 1 KiB without large cookies. */
const REMEMBERED = 512;
const REMEMBERED_LENGTH = 1024;

/** Field that differs in each request (see `lib/request-id.ts`), behind another one, up to its value. */
const REQUEST_ID = `\n${REQUEST_ID_FIELD}\n`;

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** Characters of a method or a target that could end the request line, or the line's middle part. */
const UNSAFE = /[^\x21-\x7e\x80-\xff]/;
/** Fields that only the client of the upstream writes. */
const FRAMING = new Set(["connection", "content-length", "transfer-encoding", "upgrade"]);

/** Methods whose requests announce an empty body as such (RFC 9110 section 8.6). */
const EXPECT_BODY = new Set(["POST", "PUT", "PATCH"]);

/** Writes the heads of requests. Caches the lines of field blocks, since few different blocks occur. */
export class RequestHeads {
  readonly #known = new Map<string, string>();
  readonly #connection: string;

  /** @param keeps False: the upstream is asked to close the connection after the response. */
  constructor({ keeps }: { keeps: boolean }) {
    this.#connection = keeps ? "" : "connection: close\r\n";
  }

  /**
   * Returns the head, one character per byte.
   *
   * @throws TypeError For a method, a target or a field that would change the meaning of the head.
   */
  format(request: UpstreamRequest): string {
    const { method, target, upgrade } = request;
    if (UNSAFE.test(target) || target === "" || !NAME.test(method))
      throw new TypeError(`Cannot send a request: its method or target is invalid`);
    const connection =
      upgrade === null ? this.#connection : `connection: upgrade\r\nupgrade: ${upgrade}\r\n`;
    if (upgrade !== null && !VALUE.test(upgrade))
      throw new TypeError("Cannot send a request: its upgrade field is invalid");
    return `${method} ${target} HTTP/1.1\r\n${this.#linesOf(request.fields)}${framingOf(request)}${connection}\r\n`;
  }

  /** Formats the number of the request apart from the rest, which is the same for many requests. */
  #linesOf(block: string): string {
    const at = block.indexOf(REQUEST_ID);
    if (at === -1) return this.#knownLines(block);
    const before = block.slice(0, at);
    // It may also be the value of another field.
    if (!this.#known.has(before) && before.split("\n").length % 2 !== 0)
      return this.#knownLines(block);
    const valueEnd = block.indexOf("\n", at + REQUEST_ID.length);
    const id = block.slice(at + REQUEST_ID.length, valueEnd === -1 ? block.length : valueEnd);
    if (!VALUE.test(id)) throw new TypeError("Cannot send a request: its number is invalid");
    const lines = `${this.#knownLines(before)}${REQUEST_ID_FIELD}: ${id}\r\n`;
    return valueEnd === -1 ? lines : lines + this.#knownLines(block.slice(valueEnd + 1));
  }

  #knownLines(block: string): string {
    const known = this.#known.get(block);
    if (known !== undefined) return known;
    const lines = toLines(block);
    if (block.length <= REMEMBERED_LENGTH) {
      if (this.#known.size >= REMEMBERED) this.#known.clear();
      // A part of a string keeps the whole string in memory; a copy does not.
      this.#known.set(Buffer.from(block, "latin1").toString("latin1"), lines);
    }
    return lines;
  }
}

function framingOf({ method, body, bodyBytes }: UpstreamRequest): string {
  if (body === null) return EXPECT_BODY.has(method) ? "content-length: 0\r\n" : "";
  if (body !== "follows") return `content-length: ${body.length}\r\n`;
  return bodyBytes === null ? "transfer-encoding: chunked\r\n" : `content-length: ${bodyBytes}\r\n`;
}

function toLines(block: string): string {
  if (block === "") return "";
  const parts = block.split("\n");
  let lines = "";
  for (let at = 0; at < parts.length; at += 2) {
    const name = parts[at] ?? "";
    const value = parts[at + 1];
    if (value === undefined || !NAME.test(name) || !VALUE.test(value))
      throw new TypeError(`Cannot send a request: the field ${JSON.stringify(name)} is invalid`);
    if (FRAMING.has(name.toLowerCase()))
      throw new TypeError(
        `Cannot send a request: the field ${JSON.stringify(name)} is not the caller's`,
      );
    lines += `${name}: ${value}\r\n`;
  }
  return lines;
}
