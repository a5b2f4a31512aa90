import type { AsyncLocalStorage } from "node:async_hooks";
import { setMaxListeners } from "node:events";
import type { Fetcher } from "../api.ts";
import type { Channel } from "../channel/channel.ts";
import {
  BODY_FOLLOWS,
  CALL_CREDIT_BYTES,
  type CallNumber,
  type CallReply,
  type CallUse,
  Kind,
  type RouteNumber,
  type ToPrimary,
  type ToWorker,
} from "../channel/messages.ts";
import { toError } from "../lib/errors.ts";
import { parseFields } from "../web/fields.ts";
import { CachedBody } from "./cached-body.ts";
import { ResponseBody } from "./response-body.ts";
import type { Running } from "./running.ts";
import { toCallRequest } from "./to-call-request.ts";

/** A binding whose `fetch()` calls handlers, or asks for files. */
export interface CallBinding {
  /** Its name in `env`. */
  readonly name: string;
  readonly use: CallUse;
  /** The site that answers; `null`: the one whose handler calls. */
  readonly site: string | null;
}

/** Tells which exchange a call belongs to. */
export interface CallSources {
  readonly running: AsyncLocalStorage<Running>;
  /** Returns the name of the site of a route. */
  readonly siteOf: (route: RouteNumber) => string;
}

/** A call whose answer is not complete. */
interface Call {
  /** Settles the promise of the caller; `null` once it has the head: the call must not keep a response that the caller drops. */
  waiting: { resolve: (response: Response) => void; reject: (error: unknown) => void } | null;
  /** Stops to listen to the signals of the caller. */
  readonly ignoreSignals: () => void;
  /** Sends the body of the request; `null`: it has none. */
  sending: ResponseBody | null;
  /** Receives the body of the answer; `null`: its head is not here, or it has none. */
  body: CachedBody | null;
}

type CallAnswer = Extract<CallReply, readonly [typeof Kind.callAnswer, ...unknown[]]>;

type CallHead = NonNullable<CallAnswer[2]>;

/** Most calls of a worker at a time. */
const MOST_CALLS = 1_000;

/** Most answers of which no byte was read. Beyond it the oldest one ends: its handler has dropped it, perhaps. */
const MOST_UNREAD = 256;

/** Time after which an answer ends of which no byte was read. A client has as long (`sendTimeout`). */
const UNREAD_MS = 60_000;

const DEFAULT_SITE = "default";

/**
 * The calls of this worker's handlers to other handlers, and to files of public folders. The primary leads each call to a worker
 * or a file, as it does with requests of clients.
 *
 *     waiting ──whole answer──▶ over
 *        ├──head──▶ reading ──last byte──▶ over
 *        └────────────┴── caller's signal aborts, body dropped, failure ──▶ over
 */
export class ServiceCalls {
  readonly #channel: Pick<Channel<ToWorker, ToPrimary>, "send">;
  readonly #calls = new Map<CallNumber, Call>();
  /** Ends the bodies that handlers dropped without reading them. */
  readonly #dropped = new FinalizationRegistry<CallNumber>((number) => this.#cancel(number));
  /** Calls with a body of which the handler has read nothing, with the time of their head, the oldest first. */
  readonly #unread = new Map<CallNumber, number>();
  readonly #unreadMs: number;
  /** Ends the oldest unread answer; `null`: there is none. */
  #unreadTimer: NodeJS.Timeout | null = null;
  #sources: CallSources | null = null;
  #last: CallNumber = 0;

  constructor(
    channel: Pick<Channel<ToWorker, ToPrimary>, "send">,
    { unreadMs = UNREAD_MS }: { unreadMs?: number } = {},
  ) {
    this.#channel = channel;
    this.#unreadMs = unreadMs;
  }

  /** The worker serves from now on. Earlier calls belong to no exchange. */
  serve(sources: CallSources): void {
    this.#sources = sources;
  }

  /** Creates the value of a binding. */
  createFetcher(binding: CallBinding): Fetcher {
    return Object.freeze({
      fetch: async (input: string | URL | Request, init?: RequestInit) =>
        this.#fetch(binding, toCallRequest(binding, input, init)),
    });
  }

  /** Takes a message of the primary. */
  receive(reply: CallReply): void {
    const number = reply[1];
    const call = this.#calls.get(number);
    if (call === undefined) return;
    switch (reply[0]) {
      case Kind.callAnswer:
        this.#answer(number, call, reply);
        return;
      case Kind.callChunk:
        call.body?.push(reply[2]);
        return;
      case Kind.callEnd:
        this.#end(number, call);
        if (reply[2]) call.body?.finish();
        else call.body?.fail(new TypeError("Cannot read the body of a call: it broke off"));
        return;
      case Kind.callCredit:
        call.sending?.grant(reply[2]);
    }
  }

  #fetch(
    { name, use, site }: CallBinding,
    { method, url, fields, body, signal }: ReturnType<typeof toCallRequest>,
  ): Promise<Response> {
    signal.throwIfAborted();
    if (this.#calls.size >= MOST_CALLS) {
      throw new Error(
        `Cannot call env.${name}: found ${MOST_CALLS} calls of this worker without a whole answer, expected fewer. Read or cancel the bodies of answers`,
      );
    }
    const running = this.#sources?.running.getStore();
    const isAnswered = running?.isAnswered() ?? false;
    const own = running?.signal() ?? null;
    // The work of `waitUntil()` goes on after a client that left.
    if (!isAnswered) own?.throwIfAborted();
    const { depth = 0, clientAddress = "127.0.0.1", deadline = null, route } = running?.facts ?? {};
    const ownSite = route === undefined ? "" : (this.#sources?.siteOf(route) ?? "");
    const number = ++this.#last;
    return new Promise((resolve, reject) => {
      const signals = own === null || own.aborted ? [signal] : [signal, own];
      // Each call of an exchange listens, and there is no limit to their number but `MOST_CALLS`.
      setMaxListeners(0, ...signals);
      const onAbort = (event: Event): void => {
        // The listener is on signals only.
        this.#fail(number, (event.target as AbortSignal).reason);
      };
      for (const each of signals) each.addEventListener("abort", onAbort, { once: true });
      const ignoreSignals = (): void => {
        for (const each of signals) each.removeEventListener("abort", onAbort);
      };
      const call: Call = { waiting: { resolve, reject }, ignoreSignals, sending: null, body: null };
      this.#calls.set(number, call);
      this.#channel.send(
        [
          Kind.call,
          number,
          use,
          site ?? (ownSite || DEFAULT_SITE),
          depth,
          method,
          url,
          fields,
          clientAddress,
          isAnswered ? 0 : toTimeoutMs(deadline),
          body !== null,
        ],
        url.length + fields.length,
      );
      if (body !== null) void this.#sendBody(number, call, body);
    });
  }

  async #sendBody(number: CallNumber, call: Call, body: ReadableStream<Uint8Array>): Promise<void> {
    try {
      const sending = new ResponseBody(body, {
        creditBytes: CALL_CREDIT_BYTES,
        announcedBytes: null,
        isCoded: false,
        encoder: null,
        onEncoded: () => {},
        send: (bytes) => this.#channel.send([Kind.callPiece, number, bytes], bytes.length),
      });
      call.sending = sending;
      await sending.sendAll();
      if (this.#calls.has(number)) this.#channel.send([Kind.callPieceEnd, number, true]);
    } catch (error) {
      this.#fail(number, error);
    }
  }

  #answer(number: CallNumber, call: Call, [, , head, body]: CallAnswer): void {
    if (head === null) {
      this.#end(number, call);
      call.waiting?.reject(
        new Error(typeof body === "string" ? body : "Cannot call: the server failed"),
      );
      return;
    }
    let response: Response;
    try {
      response = this.#toResponse(number, call, head, body);
    } catch (error) {
      const found = `found an answer with status ${head[0]} that no Response can hold`;
      const cause = toError(error);
      this.#fail(number, new TypeError(`Cannot call: ${found}: ${cause.message}`, { cause }));
      return;
    }
    const { waiting } = call;
    call.waiting = null;
    if (body !== BODY_FOLLOWS) this.#end(number, call);
    waiting?.resolve(response);
    if (body !== BODY_FOLLOWS) return;
    this.#unread.set(number, performance.now());
    if (this.#unreadTimer === null) this.#endStaleIn(this.#unreadMs);
    const [oldest] = this.#unread.keys();
    if (oldest === undefined || this.#unread.size <= MOST_UNREAD) return;
    this.#failUnread(oldest, `found ${MOST_UNREAD} newer answers that no handler has read`);
  }

  #endStaleIn(ms: number): void {
    this.#unreadTimer = setTimeout(this.#endStale, Math.ceil(ms)).unref();
  }

  /** An unread answer keeps its handler, or a file, and the end of a pool that retires. */
  readonly #endStale = (): void => {
    this.#unreadTimer = null;
    const nowMs = performance.now();
    for (const [number, sinceMs] of this.#unread) {
      const leftMs = sinceMs + this.#unreadMs - nowMs;
      if (leftMs > 0) {
        this.#endStaleIn(leftMs);
        return;
      }
      this.#failUnread(number, `no byte was read for ${this.#unreadMs} ms`);
    }
  };

  #failUnread(number: CallNumber, reason: string): void {
    this.#fail(number, new TypeError(`Cannot read the body of a call: ${reason}`));
  }

  /** @throws TypeError or RangeError for parts that `Headers` or `Response` refuses. */
  #toResponse(
    number: CallNumber,
    call: Call,
    [status, statusText, block]: CallHead,
    body: CallAnswer[3],
  ): Response {
    const init = { status, statusText, headers: parseFields(block) };
    // The bytes of a message are lent.
    if (body instanceof Uint8Array) return new Response(new Uint8Array(body), init);
    if (body !== BODY_FOLLOWS) return new Response(body, init);
    call.body = new CachedBody({
      sizeBytes: Infinity,
      grant: (bytes) => {
        this.#unread.delete(number);
        this.#channel.send([Kind.callGrant, number, bytes]);
      },
      onEnd: (isWhole) => {
        if (!isWhole) this.#cancel(number);
      },
    });
    const stream = call.body.openStream();
    const response = new Response(stream, init);
    this.#dropped.register(stream, number);
    return response;
  }

  /** Ends a call with an error of the caller's side. */
  #fail(number: CallNumber, error: unknown): void {
    const call = this.#calls.get(number);
    if (call === undefined) return;
    this.#cancel(number);
    call.waiting?.reject(error);
    call.body?.fail(error instanceof Error ? error : new Error(String(error)));
  }

  #cancel(number: CallNumber): void {
    const call = this.#calls.get(number);
    if (call === undefined) return;
    this.#end(number, call);
    this.#channel.send([Kind.callCancel, number]);
  }

  #end(number: CallNumber, call: Call): void {
    this.#calls.delete(number);
    this.#unread.delete(number);
    call.ignoreSignals();
    call.sending?.cancel(new DOMException("The call is over", "AbortError"));
  }
}

/** Returns the time until a deadline, at least 1; 0: there is none. */
function toTimeoutMs(deadline: number | null): number {
  return deadline === null ? 0 : Math.max(1, deadline - Date.now());
}
