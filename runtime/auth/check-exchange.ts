import type { BodySource, ExchangeId, RequestHead } from "../http/client.ts";
import { parseBlock } from "../http/field-block.ts";
import { OwnClient } from "../http/own-client.ts";
import { isSource, type Reply } from "../http/reply.ts";
import type { CheckAnswer } from "./check-client.ts";

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
export class CheckExchange {
  readonly client: OwnClient;
  /** Rejects when the body breaks off or the signal aborts. */
  readonly answer: Promise<CheckAnswer>;
  #resolve: (answer: CheckAnswer) => void = () => {};
  #reject: (error: Error) => void = () => {};
  #source: BodySource | null = null;

  /** @param options.signal When it aborts, the client of this request leaves. */
  constructor(head: RequestHead, { id, signal }: { id: ExchangeId; signal: AbortSignal }) {
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.client = new OwnClient({
      id,
      head,
      isLogged: true,
      onReply: (reply) => this.#onReply(reply),
    });
    signal.addEventListener("abort", () => this.#leave(), { once: true });
  }

  #onReply({ status, fields, body }: Reply): void {
    const head = { status, fields: parseBlock(fields) };
    if (isSource(body)) this.#read(body, head);
    else this.#resolve({ ...head, body: new Uint8Array(Buffer.from(body ?? "")) });
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
    this.client.leave();
  }
}
