import { decodesFetch } from "./decoded-body.ts";

/** A `Response` in all but its class: a ponyfill's, a package's (`node-fetch`, `undici`), one of another realm. */
export interface ForeignResponse {
  readonly status: number;
  readonly statusText?: unknown;
  readonly headers: Iterable<readonly [string, string]> & ForeignHeaders;
  readonly body?: unknown;
  readonly bodyUsed?: unknown;
  readonly type?: unknown;
  readonly url?: unknown;
}

interface ForeignHeaders {
  getSetCookie?: () => string[];
  /** `node-fetch` and its descendants have this: their iteration joins all cookies into one value. */
  raw?: () => Record<string, string[]>;
}

/**
 * Tells whether a value can be read as a response: its status, fields and body have the shapes of the Fetch Standard.
 */
export function isForeignResponse(value: unknown): value is ForeignResponse {
  if (typeof value !== "object" || value === null) return false;
  const { status, headers } = value as Record<string, unknown>;
  if (typeof status !== "number" || typeof headers !== "object" || headers === null) return false;
  if (typeof Reflect.get(headers, Symbol.iterator) !== "function") return false;
  // A plain description of a response, as in test doubles and other servers, is no `Response`.
  return (
    Object.prototype.toString.call(value) === "[object Response]" ||
    typeof (value as { arrayBuffer?: unknown }).arrayBuffer === "function"
  );
}

/**
 * Reads the fields of a foreign response, each cookie on its own.
 *
 * Leaves out `content-encoding` and `content-length` if the implementation's `fetch` has decoded the body.
 */
export function readForeignFields(response: ForeignResponse): [string, string][] {
  const { headers, body, url } = response;
  const cookies = headers.getSetCookie?.() ?? headers.raw?.()["set-cookie"];
  const fields = [...headers].map(([name, value]): [string, string] => [name.toLowerCase(), value]);
  const isFetched = typeof url === "string" && url !== "" && body !== null && body !== undefined;
  const coding = fields.find(([name]) => name === "content-encoding")?.[1];
  const isDecoded = isFetched && decodesFetch(coding ?? null);
  const kept = fields.filter(
    ([name]) =>
      !(cookies !== undefined && name === "set-cookie") && !(isDecoded && DECODED.has(name)),
  );
  for (const cookie of cookies ?? []) kept.push(["set-cookie", cookie]);
  return kept;
}

const DECODED: ReadonlySet<string> = new Set(["content-encoding", "content-length"]);

/**
 * Opens a body of any kind as a stream of bytes: a stream of Node's global class (as it is), of another class, a
 * `Readable` of Node, or any async iterable.
 *
 * @returns `null` when there is none.
 * @throws TypeError for a body of another kind.
 */
export function openForeignBody(body: unknown): ReadableStream<Uint8Array> | null {
  if (body === null || body === undefined) return null;
  // Chunks that are no bytes are refused when they are sent.
  if (body instanceof ReadableStream) return body as ReadableStream<Uint8Array>;
  const source = typeof body === "object" ? (readerOf(body) ?? iteratorOf(body)) : null;
  if (source === null) {
    throw new TypeError(
      `Cannot read the body of a response: found ${typeof body}, expected a stream`,
    );
  }
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller): Promise<void> {
        const { done, value } = await source.next();
        if (done === true) controller.close();
        else controller.enqueue(toBytes(value));
      },
      async cancel(reason): Promise<void> {
        await source.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

/** A body of any kind, for its reader. */
interface Source {
  next: () => Promise<{ done?: boolean | undefined; value?: unknown }>;
  cancel: (reason: unknown) => unknown;
}

function readerOf(body: object): Source | null {
  if (!("getReader" in body) || typeof body.getReader !== "function") return null;
  // A stream of another class. Each of its chunks is checked.
  const reader = (body as ReadableStream<unknown>).getReader();
  return { next: () => reader.read(), cancel: (reason) => reader.cancel(reason) };
}

function iteratorOf(body: object): Source | null {
  const iterable = body as Partial<AsyncIterable<unknown> & { destroy: (error?: Error) => void }>;
  const iterator = iterable[Symbol.asyncIterator]?.();
  if (iterator === undefined) return null;
  return {
    next: () => iterator.next(),
    cancel(reason) {
      // A generator that waits for its source ends only after it: `return()` alone would leave an idle stream open.
      iterable.destroy?.(reason instanceof Error ? reason : undefined);
      return iterator.return?.();
    },
  };
}

/** Chunks of other implementations may be text, or another view of bytes. */
function toBytes(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  if (typeof chunk === "string") return Buffer.from(chunk);
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  if (ArrayBuffer.isView(chunk)) {
    return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  }
  throw new TypeError(`Cannot send a response: its body yields ${typeof chunk}, expected bytes`);
}
