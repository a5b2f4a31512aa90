import type { ExchangeId, WorkerId } from "../../runtime/channel/messages.ts";
import type {
  ClientSide,
  CompleteResponse,
  RequestHead,
} from "../../runtime/dispatch/client-side.ts";
import type { ErrorCode } from "../../runtime/errors.ts";

/** How an exchange ended for its client. */
export type Outcome =
  | { kind: "answered"; response: CompleteResponse }
  | { kind: "refused"; status: number; retryAfterSeconds: number | undefined }
  | { kind: "left" };

/** A client without a socket: keeps what it is told, and leaves or sends its body when the test says so. */
export class FakeClient implements ClientSide {
  readonly id: ExchangeId;
  readonly head: RequestHead;
  readonly receivedMs = 0;
  workerId: WorkerId | null = null;
  /** One at the end. More would be a bug, so each is kept. */
  readonly outcomes: Outcome[] = [];
  bodyLimitBytes: number | null = null;
  #onBody: ((body: Uint8Array | ErrorCode) => void) | null = null;
  #onAbort: (() => void) | null = null;

  constructor(id: number, options: { bodyBytes?: number | null; method?: string } = {}) {
    // Tests are the only makers of ids here.
    this.id = id as ExchangeId;
    this.head = {
      method: options.method ?? "GET",
      target: `/${id}`,
      origin: "http://localhost",
      fields: "host\nlocalhost",
      bodyBytes: options.bodyBytes ?? (options.bodyBytes === null ? null : 0),
      clientAddress: "127.0.0.1",
    };
  }

  get settled(): boolean {
    return this.outcomes.length > 0;
  }

  readBody(limitBytes: number, done: (body: Uint8Array | ErrorCode) => void): void {
    this.bodyLimitBytes = limitBytes;
    this.#onBody = done;
  }

  onAbort(callback: () => void): void {
    this.#onAbort = callback;
  }

  respond(response: CompleteResponse): void {
    this.outcomes.push({ kind: "answered", response });
  }

  refuse(status: number, options: { retryAfterSeconds?: number } = {}): void {
    this.outcomes.push({ kind: "refused", status, retryAfterSeconds: options.retryAfterSeconds });
  }

  /** The last byte of the body is there, or one too many. A client whose answer is complete sends to nobody. */
  sendBody(body: Uint8Array | ErrorCode): void {
    if (!this.settled) this.#onBody?.(body);
  }

  /** As the front door does: nothing is told of a client whose answer is complete. */
  leave(): void {
    if (this.settled) return;
    this.outcomes.push({ kind: "left" });
    this.#onAbort?.();
  }
}
