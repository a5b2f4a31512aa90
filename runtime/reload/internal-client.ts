import type { ExchangeId } from "../channel/messages.ts";
import type {
  BodyFlow,
  BodySink,
  BodySource,
  Client,
  RequestHead,
  WorkerId,
} from "../http/client.ts";
import { isSource, type Reply } from "../http/reply.ts";
import type { LimitName } from "../http/limit-names.ts";

/** Time after which a response body counts as a stream without an end. */
const MOST_BODY_MS = 1_000;

const READ_BYTES = 64 * 1024;

export interface InternalRequest {
  id: ExchangeId;
  /** Path and query. */
  target: string;
  /** `http://localhost`. */
  origin: string;
  /** Value of the `user-agent` field. */
  userAgent: string;
}

/** The outcome of an internal request. */
export interface InternalOutcome {
  /** The status of the response; 502: its body broke off. */
  status: number;
  /** Time to the head of the response. */
  durationMs: number;
}

/**
 * A GET request from the server to its own handlers, through all parts but a socket. It reads the response like a
 * client and drops it.
 *
 *     open ──whole response, refusal──▶ settled
 *       └──head of a stream──▶ reading ──end, broke off, a second later──▶ settled
 */
export class InternalClient implements Client {
  readonly id: ExchangeId;
  readonly head: RequestHead;
  readonly receivedMs: number;
  /** Resolves once, and never rejects: every admitted exchange has one outcome. */
  readonly outcome: Promise<InternalOutcome>;
  workerId: WorkerId | null = null;
  limitedBy: LimitName | null = null;
  series = 0;
  isLogged = true;
  /** No stage sees an internal request. */
  readonly filters = null;
  readonly finishing = null;
  #settle: (outcome: InternalOutcome) => void = () => {};
  #settled = false;
  #isReading = false;

  constructor({ id, target, origin, userAgent }: InternalRequest) {
    this.id = id;
    this.receivedMs = performance.now();
    const host = new URL(origin).host;
    this.head = {
      method: "GET",
      target,
      origin,
      fields: `host\n${host}\naccept\n*/*\nuser-agent\n${userAgent}`,
      bodyBytes: 0,
      clientAddress: "127.0.0.1",
    };
    this.outcome = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** True while a stream is read, too: from then on the timeout of this class applies. */
  get begun(): boolean {
    return this.#isReading || this.#settled;
  }

  receiveBody(sink: BodySink): BodyFlow {
    // An internal GET has no body.
    sink.end();
    return { pause: () => {}, resume: () => {} };
  }

  /** Does nothing: an internal GET has no body. */
  holdBody(): void {}

  /** Does nothing: this client is never slow. */
  limitTransfers(): void {}

  /** Does nothing: this client never leaves, and the exchange has a timeout. */
  onAbort(): void {}

  reply({ status, body }: Reply): void {
    if (!isSource(body)) this.#end({ status, durationMs: performance.now() - this.receivedMs });
    else if (this.#settled) body.cancel();
    else this.#read(status, body);
  }

  refuse(status: number): void {
    this.#end({ status, durationMs: performance.now() - this.receivedMs });
  }

  #read(status: number, body: BodySource): void {
    this.#isReading = true;
    const durationMs = performance.now() - this.receivedMs;
    const finish = (outcome: InternalOutcome): void => {
      clearTimeout(timer);
      body.onChange = null;
      this.#end(outcome);
    };
    const timer = setTimeout(() => {
      finish({ status, durationMs });
      body.cancel();
    }, MOST_BODY_MS);
    const read = (): void => {
      while (body.read(READ_BYTES) !== null);
      if (body.state === "ended") finish({ status, durationMs });
      else if (body.state === "failed") finish({ status: 502, durationMs });
    };
    body.onChange = read;
    read();
  }

  #end(outcome: InternalOutcome): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#settle(outcome);
  }
}
