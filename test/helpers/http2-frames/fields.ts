import { once } from "node:events";
import { connect, type ClientHttp2Session } from "node:http2";
import { Duplex } from "node:stream";
import { FLAG, frame, PREFACE, readFrames, settings, TYPE } from "./frames.ts";

/** Name and value of a field, in the order in which they are sent. */
export type FieldList = readonly (readonly [name: string, value: string])[];

/** Encodes fields as literals without indexing and without Huffman codes (RFC 7541 section 6.2.2). */
export function encodeFields(fields: FieldList): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [Buffer.of(0), literal(name), literal(value)]),
  );
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  const length: number[] = [];
  let rest = bytes.length;
  // An integer with a prefix of 7 bits (RFC 7541 section 5.1).
  if (rest < 127) length.push(rest);
  else {
    length.push(127);
    for (rest -= 127; rest > 127; rest = Math.floor(rest / 128)) length.push((rest % 128) + 128);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}

/** Options of `headers`. */
export interface HeadersOptions {
  end?: boolean;
  /** False: CONTINUATION frames must follow. */
  isComplete?: boolean;
  /** Bytes of padding. */
  padding?: number;
  /** The five bytes of a priority. */
  priority?: Uint8Array;
}

/** Returns a HEADERS frame with these fields, or with a block that is already encoded. */
export function headers(
  stream: number,
  fields: FieldList | Uint8Array,
  { end = false, isComplete = true, padding, priority }: HeadersOptions = {},
): Buffer {
  const block = fields instanceof Uint8Array ? fields : encodeFields(fields);
  let flags = (end ? FLAG.endStream : 0) | (isComplete ? FLAG.endHeaders : 0);
  const parts: Uint8Array[] = [block];
  if (priority !== undefined) {
    flags |= FLAG.priority;
    parts.unshift(priority);
  }
  if (padding !== undefined) {
    flags |= FLAG.padded;
    parts.unshift(Buffer.of(padding));
    parts.push(Buffer.alloc(padding));
  }
  return frame(TYPE.headers, flags, stream, Buffer.concat(parts));
}

/**
 * Decodes a block of response fields that uses no dynamic table. A client of `node:http2` decodes it: the block becomes
 * the response to a request on a connection in memory.
 */
export async function decodeResponseFields(block: Uint8Array): Promise<[string, string][]> {
  let sent: Buffer = Buffer.alloc(0);
  const transport = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      sent = Buffer.concat([sent, chunk]);
      done();
      this.emit("sent");
    },
  });
  const session: ClientHttp2Session = connect("http://localhost", {
    createConnection: () => transport,
  });
  try {
    const stream = session.request({ ":path": "/" });
    session.on("error", () => {});
    stream.on("error", () => {});
    // A response to a request that the client has not sent yet would be an error.
    while (!hasRequest(sent)) await once(transport, "sent");
    // `headers` is the event of an interim response.
    const answered = Promise.race([once(stream, "response"), once(stream, "headers")]);
    // Without END_STREAM, because a response without a body must not announce a length.
    transport.push(Buffer.concat([settings(), frame(TYPE.headers, FLAG.endHeaders, 1, block)]));
    // The third argument of the event has names and values in turn, as they were sent.
    const list = (await answered)[2] as string[];
    const fields: [string, string][] = [];
    for (let at = 0; at < list.length; at += 2) {
      fields.push([list[at] ?? "", list[at + 1] ?? ""]);
    }
    return fields;
  } finally {
    session.destroy();
    transport.destroy();
  }
}

function hasRequest(sent: Buffer): boolean {
  return readFrames(sent.subarray(PREFACE.length)).frames.some(({ type }) => type === TYPE.headers);
}
