/** Status line and fields of a response, as `http.ServerResponse` wrote them. */
export interface NodeHead {
  readonly status: number;
  readonly statusText: string;
  /** In the order in which they were written, names as written. */
  readonly fields: readonly [name: string, value: string][];
}

const HEAD_END = "\r\n\r\n";
const STATUS_LINE = /^HTTP\/1\.[01] (\d{3}) ?(.*)$/;

/**
 * Reads the output of `http.ServerResponse` to its socket: interim heads (skipped), one head, a body that is chunked or
 * not.
 *
 * The writer is Node in this process, not a peer, and frames correctly. A text that does not parse is a bug, or an
 * application wrote to the socket by itself.
 */
export class NodeResponseReader {
  #head: NodeHead | null = null;
  /** Text of an incomplete head. */
  #text = "";
  #chunked: ChunkedReader | null = null;

  /** `null` until the whole head was written. */
  get head(): NodeHead | null {
    return this.#head;
  }

  /**
   * Takes one write, and returns the bytes of the body in it: a string with its encoding, or bytes.
   *
   * @throws TypeError for a text that is no head of HTTP/1.1.
   */
  push(data: string | Uint8Array, encoding: BufferEncoding): string | Uint8Array | null {
    if (this.#head !== null) return this.#toBody(data, encoding);
    const start = this.#text.length;
    // A head's characters are bytes; Node puts a string that follows in the same write behind it.
    this.#text += typeof data === "string" ? data : Buffer.from(data).toString("latin1");
    for (let from = 0; ;) {
      const end = this.#text.indexOf(HEAD_END, from);
      if (end === -1) {
        this.#text = this.#text.slice(from);
        return null;
      }
      const head = parseHead(this.#text.slice(from, end));
      from = end + HEAD_END.length;
      if (head.status < 200 && head.status !== 101) continue;
      this.#accept(head);
      const rest = this.#text.slice(from);
      this.#text = "";
      if (rest === "") return null;
      return typeof data === "string"
        ? this.#toBody(rest, encoding)
        : this.#toBody(data.subarray(from - start), encoding);
    }
  }

  #accept(head: NodeHead): void {
    this.#head = head;
    const isChunked = head.fields.some(
      ([name, value]) => name.toLowerCase() === "transfer-encoding" && /\bchunked\b/i.test(value),
    );
    if (isChunked) this.#chunked = new ChunkedReader();
  }

  #toBody(data: string | Uint8Array, encoding: BufferEncoding): string | Uint8Array | null {
    if (data.length === 0) return null;
    if (this.#chunked === null) return data;
    return this.#chunked.push(typeof data === "string" ? Buffer.from(data, encoding) : data);
  }
}

function parseHead(text: string): NodeHead {
  const [first = "", ...lines] = text.split("\r\n");
  const [, status, statusText = ""] = STATUS_LINE.exec(first) ?? [];
  if (status === undefined) {
    const found = JSON.stringify(first.slice(0, 40));
    throw new TypeError(`Cannot read a response: found ${found}, expected a head of HTTP/1.1`);
  }
  const fields = lines.map((line): [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  return { status: Number(status), statusText, fields };
}

/** Removes the chunked coding from a body (RFC 9112 section 7.1). Trailers are dropped. */
class ChunkedReader {
  /** `trailers`: the last chunk was read. */
  #state: "size" | "data" | "data end" | "trailers" = "size";
  #line = "";
  #left = 0;

  push(bytes: Uint8Array): Uint8Array | null {
    const parts: Uint8Array[] = [];
    for (let at = 0; at < bytes.length && this.#state !== "trailers";) {
      if (this.#state === "data") {
        const part = bytes.subarray(at, at + this.#left);
        parts.push(part);
        at += part.length;
        this.#left -= part.length;
        if (this.#left === 0) this.#state = "data end";
        continue;
      }
      const end = bytes.indexOf(LF, at);
      const stop = end === -1 ? bytes.length : end;
      this.#line += Buffer.from(bytes.subarray(at, stop)).toString("latin1");
      at = stop + 1;
      if (end !== -1) this.#endLine();
    }
    if (parts.length <= 1) return parts[0] ?? null;
    return Buffer.concat(parts);
  }

  #endLine(): void {
    if (this.#state === "size") {
      this.#left = Number.parseInt(this.#line, 16);
      this.#state = this.#left > 0 ? "data" : "trailers";
    } else {
      this.#state = "size";
    }
    this.#line = "";
  }
}

const LF = 0x0a;
