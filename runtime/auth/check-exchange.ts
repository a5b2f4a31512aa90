import type {
  BodyFlow,
  BodySink,
  BodySource,
  Client,
  ExchangeId,
  RequestHead,
  WorkerId,
} from "../http/client.ts";
import type { LimitName } from "../http/limit-names.ts";
import { isSource, type Reply, toRefusal } from "../http/reply.ts";
import type { CheckAnswer } from "./check-client.ts";
import { parseBlock } from "../http/field-block.ts";

/** Largest body of an answer. */
const MOST_BODY_BYTES = 1024 * 1024;

const READ_BYTES = 64 * 1024;

/**
 * A GET request without a body that the server sends to its own handlers for another request. Keeps the answer.
 *
 *     open ──whole reply──▶ settled
 *       ├──head of a stream──▶ reading ──end──▶ settled
 *       └── abort, broken body ──┴────────────▶ failed
 */
export class CheckExchange implements Client {
  readonly id: ExchangeId;
  readonly head: RequestHead;
  readonly receivedMs: number;
  /** Rejects when the body breaks off or the signal aborts. */
  readonly answer: Promise<CheckAnswer>;
  workerId: WorkerId | null = null;
  limitedBy: LimitName | null = null;
  isLogged = true;
  /** No stage sees the request. */
  readonly filters = null;
  readonly finishing = null;
  #resolve: (answer: CheckAnswer) => void = () => {};
  #reject: (error: Error) => void = () => {};
  #onAbort: (() => void) | null = null;
  #source: BodySource | null = null;
  #settled = false;

  /** @param options.signal When it aborts, the client of this request leaves. */
  constructor(
    head: RequestHead,
    { id, nowMs, signal }: { id: ExchangeId; nowMs: number; signal: AbortSignal },
  ) {
    this.id = id;
    this.head = head;
    this.receivedMs = nowMs;
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    signal.addEventListener("abort", () => this.#leave(), { once: true });
  }

  get settled(): boolean {
    return this.#settled;
  }

  get begun(): boolean {
    return this.#settled;
  }

  receiveBody(sink: BodySink): BodyFlow {
    sink.end();
    return { pause: () => {}, resume: () => {} };
  }

  /** Does nothing: there is no body. */
  holdBody(): void {}

  /** Does nothing: this client is never slow. */
  limitTransfers(): void {}

  onAbort(callback: () => void): void {
    this.#onAbort = callback;
  }

  reply({ status, fields, body }: Reply): void {
    if (this.#settled) {
      if (isSource(body)) body.cancel();
      return;
    }
    this.#settled = true;
    const head = { status, fields: parseBlock(fields) };
    if (isSource(body)) this.#read(body, head);
    else this.#resolve({ ...head, body: new Uint8Array(Buffer.from(body ?? "")) });
  }

  refuse(status: number): void {
    this.reply(toRefusal(status));
  }

  #read(source: BodySource, head: Omit<CheckAnswer, "body">): void {
    this.#source = source;
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    const read = (): void => {
      for (let piece = source.read(READ_BYTES); piece !== null; piece = source.read(READ_BYTES)) {
        bytes += piece.length;
        pieces.push(new Uint8Array(piece));
        if (bytes > MOST_BODY_BYTES) {
          source.cancel();
          this.#fail(`an answer of more than ${MOST_BODY_BYTES} bytes`);
          return;
        }
      }
      if (source.state === "open") return;
      source.onChange = null;
      if (source.state === "failed") this.#fail("an answer whose body breaks off");
      else this.#resolve({ ...head, body: new Uint8Array(Buffer.concat(pieces)) });
    };
    source.onChange = read;
    read();
  }

  #fail(reason: string): void {
    if (this.#source !== null) this.#source.onChange = null;
    this.#reject(new Error(reason));
  }

  #leave(): void {
    this.#reject(new Error("aborted"));
    this.#source?.cancel();
    if (this.#settled) return;
    this.#settled = true;
    this.#onAbort?.();
  }
}
