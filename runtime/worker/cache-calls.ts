import type { Channel } from "../channel/channel.ts";
import {
  BODY_FOLLOWS,
  CACHE_CREDIT_BYTES,
  type CacheNumber,
  type CacheReply,
  CHUNK_BYTES,
  Kind,
  MAX_RESPONSE_HEAD,
  type RouteNumber,
  type ToPrimary,
  type ToWorker,
} from "../channel/messages.ts";
import type { Logger } from "../log/log.ts";
import type { ResponseParts } from "../web/any-response.ts";
import type { CacheCalling, CacheRequest } from "../web/cache-storage.ts";
import { parseFields } from "../web/fields.ts";
import { CachedBody } from "./cached-body.ts";
import { ResponseBody } from "./response-body.ts";

export interface CacheCallsOptions {
  channel: Pick<Channel<ToWorker, ToPrimary>, "send">;
  /** Returns the route whose handler calls. Throws when there is none. */
  routeOf: () => RouteNumber;
  log: () => Logger | null;
}

interface Waiting {
  readonly settle: (reply: CacheReply) => void;
  readonly reject: (error: unknown) => void;
}

/** The calls of this worker's handlers to `caches`: asks the primary, which has the store. */
export class CacheCalls implements CacheCalling {
  readonly #options: CacheCallsOptions;
  readonly #waiting = new Map<CacheNumber, Waiting>();
  /** Bodies that are being stored. */
  readonly #sending = new Map<CacheNumber, ResponseBody>();
  /** Bodies of found answers that the handler has not read to the end. */
  readonly #reading = new Map<CacheNumber, CachedBody>();
  /** Ends the bodies that handlers dropped without reading them. */
  readonly #dropped = new FinalizationRegistry<CacheNumber>((number) => this.#cancel(number));
  #last: CacheNumber = 0;

  constructor(options: CacheCallsOptions) {
    this.#options = options;
  }

  async match(cache: string | null, { url, fields }: CacheRequest): Promise<Response | undefined> {
    const number = ++this.#last;
    const route = this.#options.routeOf();
    checkHead(fields);
    const reply = await this.#ask(number, () =>
      this.#send([Kind.cacheMatch, number, route, cache, url, fields], url.length + fields.length),
    );
    if (reply[0] !== Kind.cacheAnswer || reply[2] === null) return undefined;
    const [, , [status, statusText, block], body] = reply;
    const headers = parseFields(block);
    const init = { status, statusText, headers };
    if (body !== BODY_FOLLOWS) return new Response(body, init);
    const stream = this.#reading.get(number)?.openStream();
    if (stream === undefined) throw new TypeError("an answer whose body was not expected");
    this.#dropped.register(stream, number);
    return new Response(stream, init);
  }

  async put(
    cache: string | null,
    request: CacheRequest,
    { status, statusText, fields, body }: ResponseParts,
  ): Promise<void> {
    const number = ++this.#last;
    const route = this.#options.routeOf();
    checkHead(fields + request.fields);
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    const isWhole = !(bytes instanceof ReadableStream) && (bytes?.length ?? 0) <= CHUNK_BYTES;
    const sent = isWhole ? bytes : BODY_FOLLOWS;
    const reply = await this.#ask(number, () => {
      this.#send(
        [
          Kind.cachePut,
          number,
          route,
          cache,
          request.url,
          request.fields,
          status,
          statusText,
          fields,
          sent,
        ],
        fields.length + request.fields.length + (isWhole ? (bytes?.length ?? 0) : 0),
      );
      if (!isWhole && bytes !== null) void this.#sendBody(number, bytes, fields);
    });
    const [, , reason] = reply;
    if (reason !== true) {
      this.#options.log()?.debug({ url: request.url, reason }, "answer of cache.put() not stored");
    }
  }

  async delete(cache: string | null, { url }: CacheRequest): Promise<boolean> {
    const number = ++this.#last;
    const route = this.#options.routeOf();
    const reply = await this.#ask(number, () =>
      this.#send([Kind.cacheDelete, number, route, cache, url], url.length),
    );
    return reply[0] === Kind.cacheDone && reply[2] === true;
  }

  /** Takes a message of the primary. */
  receive(reply: CacheReply): void {
    const number = reply[1];
    switch (reply[0]) {
      case Kind.cacheAnswer:
      case Kind.cacheDone: {
        const waiting = this.#waiting.get(number);
        this.#waiting.delete(number);
        // The primary may decide before the whole body was sent.
        const sending = this.#sending.get(number);
        this.#sending.delete(number);
        // The handler goes on in a later turn, and the body may break before it.
        if (waiting !== undefined && reply[0] === Kind.cacheAnswer && reply[3] === BODY_FOLLOWS) {
          this.#expectBody(number, reply[2]?.[2] ?? "");
        }
        waiting?.settle(keep(reply));
        sending?.cancel(new DOMException("The answer is not stored", "AbortError"));
        return;
      }
      case Kind.cacheChunk:
        this.#reading.get(number)?.push(reply[2]);
        return;
      case Kind.cacheBroken:
        this.#reading.get(number)?.fail(new TypeError("Cannot read a stored body: it is gone"));
        return;
      case Kind.cacheCredit:
        this.#sending.get(number)?.grant(reply[2]);
    }
  }

  #send(message: ToPrimary, bytes: number): void {
    this.#options.channel.send(message, bytes);
  }

  #ask(number: CacheNumber, send: () => void): Promise<CacheReply> {
    return new Promise((settle, reject) => {
      this.#waiting.set(number, { settle, reject });
      send();
    });
  }

  async #sendBody(
    number: CacheNumber,
    body: Uint8Array | ReadableStream<Uint8Array>,
    fields: string,
  ): Promise<void> {
    const announced = /(?:^|\n)content-length\n(\d+)(?:\n|$)/.exec(fields)?.[1];
    const sending = new ResponseBody(body instanceof ReadableStream ? body : toStream(body), {
      creditBytes: CACHE_CREDIT_BYTES,
      announcedBytes:
        body instanceof ReadableStream && announced !== undefined ? Number(announced) : null,
      isCoded: false,
      encoder: null,
      onEncoded: () => {},
      send: (bytes) => this.#send([Kind.cachePiece, number, bytes], bytes.length),
    });
    this.#sending.set(number, sending);
    try {
      await sending.sendAll();
      if (this.#sending.delete(number)) this.#send([Kind.cachePutEnd, number, true], 0);
    } catch (error) {
      if (!this.#sending.delete(number)) return;
      this.#send([Kind.cachePutEnd, number, false], 0);
      const waiting = this.#waiting.get(number);
      this.#waiting.delete(number);
      waiting?.reject(error);
    }
  }

  #expectBody(number: CacheNumber, fields: string): void {
    const body = new CachedBody({
      sizeBytes: Number(parseFields(fields).get("content-length")),
      grant: (bytes) => this.#send([Kind.cacheGrant, number, bytes], 0),
      onEnd: (isWhole) => {
        if (isWhole) this.#reading.delete(number);
        else this.#cancel(number);
      },
    });
    this.#reading.set(number, body);
  }

  #cancel(number: CacheNumber): void {
    if (this.#reading.delete(number)) this.#send([Kind.cacheCancel, number], 0);
  }
}

/** The bytes of a message are lent: a response of the handler needs a copy. */
function keep(reply: CacheReply): CacheReply {
  if (reply[0] !== Kind.cacheAnswer || !(reply[3] instanceof Uint8Array)) return reply;
  return [reply[0], reply[1], reply[2], new Uint8Array(reply[3])];
}

function checkHead(fields: string): void {
  if (fields.length <= MAX_RESPONSE_HEAD) return;
  throw new TypeError(
    `Cannot use a cache: found ${fields.length} characters of fields, expected at most ${MAX_RESPONSE_HEAD}`,
  );
}

function toStream(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(bytes);
      controller.close();
    },
  });
}
