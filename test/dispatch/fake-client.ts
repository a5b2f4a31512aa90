import assert from "node:assert/strict";
import type { ExchangeId, WorkerId } from "../../runtime/channel/messages.ts";
import type {
  BodyFlow,
  BodySink,
  BodySource,
  Client,
  HeldBodySink,
  RequestHead,
  TransferLimits,
  UpstreamNote,
} from "../../runtime/http/client.ts";
import type { CacheResult } from "../../runtime/http/cache-result.ts";
import { isSource, type Reply, type ReplyFilter } from "../../runtime/http/reply.ts";
import type { LimitName } from "../../runtime/http/limit-names.ts";

/** How an exchange ended for its client, or how far it got. */
export type Outcome =
  | { kind: "answered"; response: Reply & { body: string | Buffer | null } }
  | { kind: "streamed"; head: Omit<Reply, "body">; body: StreamedBody }
  | { kind: "refused"; status: number; retryAfterSeconds: number | undefined }
  | { kind: "left" };

/** A client without a socket. Records calls, and leaves or sends its body when the test says so. */
export class FakeClient implements Client {
  readonly id: ExchangeId;
  readonly head: RequestHead;
  readonly receivedMs: number;
  readonly connection: object | null;
  workerId: WorkerId | null = null;
  upstream: UpstreamNote | null = null;
  cached: CacheResult | null = null;
  passedOn?: boolean;
  limitedBy: LimitName | null = null;
  isLogged = true;
  series = 0;
  filters: ReplyFilter[] | null = null;
  finishing: (() => void)[] | null = null;
  /** `null`: the limits of the listener. */
  transferLimits: TransferLimits | null = null;
  /** One at the end. A bug could cause more, so all are kept. */
  readonly outcomes: Outcome[] = [];
  /** Whether the body is paused, and how often it was. */
  held = false;
  flowChanges = 0;
  #heldBody: HeldBodySink | null = null;
  #sink: BodySink | null = null;
  #onAbort: (() => void) | null = null;
  #gone = false;

  constructor(
    id: number,
    options: {
      bodyBytes?: number | null;
      method?: string;
      receivedMs?: number;
      target?: string;
      fieldBlock?: string;
      clientAddress?: string;
      connection?: object;
    } = {},
  ) {
    // Ids are made in tests only here.
    this.id = id as ExchangeId;
    this.receivedMs = options.receivedMs ?? 0;
    this.connection = options.connection ?? null;
    this.head = {
      method: options.method ?? "GET",
      target: options.target ?? `/${id}`,
      origin: "http://localhost",
      fields: options.fieldBlock ?? "host\nlocalhost",
      bodyBytes: options.bodyBytes ?? (options.bodyBytes === null ? null : 0),
      clientAddress: options.clientAddress ?? "127.0.0.1",
    };
  }

  get settled(): boolean {
    return this.outcomes.length > 0;
  }

  /** The head of a stream leaves with its first byte. */
  get begun(): boolean {
    const [outcome] = this.outcomes;
    return outcome?.kind === "streamed" ? outcome.body.taken.length > 0 : this.settled;
  }

  /** The response's body, after the head of a stream. */
  get streamed(): StreamedBody {
    const [outcome] = this.outcomes;
    assert.ok(outcome?.kind === "streamed", "no stream was announced");
    return outcome.body;
  }

  holdBody(held: HeldBodySink): void {
    held.start(this.receiveBody(held));
    this.#heldBody = held;
  }

  receiveBody(sink: BodySink): BodyFlow {
    if (this.#heldBody !== null) return this.#heldBody.release(sink);
    assert.equal(this.#sink, null, "a body has one sink");
    this.#sink = sink;
    return { pause: () => this.#hold(true), resume: () => this.#hold(false) };
  }

  limitTransfers(limits: TransferLimits): void {
    this.transferLimits = limits;
  }

  onAbort(callback: () => void): void {
    this.#onAbort = callback;
  }

  reply(reply: Reply): void {
    const { body, ...head } = reply;
    if (isSource(body)) {
      this.outcomes.push({ kind: "streamed", head, body: new StreamedBody(body) });
      return;
    }
    const kept = body instanceof Uint8Array ? Buffer.from(body) : body;
    this.outcomes.push({ kind: "answered", response: { ...head, body: kept } });
  }

  refuse(status: number, options: { retryAfterSeconds?: number } = {}): void {
    this.outcomes.push({ kind: "refused", status, retryAfterSeconds: options.retryAfterSeconds });
  }

  /** Delivers a piece of the body, also after the client was answered or paused. */
  sendChunk(bytes: Uint8Array): void {
    if (this.#gone) return;
    const lent = Buffer.from(bytes);
    this.#sink?.chunk(lent);
    // The memory is reused.
    lent.fill(0xff);
  }

  sendEnd(): void {
    if (!this.#gone) this.#sink?.end();
  }

  sendBody(body: Uint8Array): void {
    this.sendChunk(body);
    this.sendEnd();
  }

  /** Makes the client leave. As at the front door, this does nothing after a complete answer. */
  leave(): void {
    const [outcome] = this.outcomes;
    if (this.#gone || (outcome !== undefined && outcome.kind !== "streamed")) return;
    if (outcome !== undefined && outcome.body.end !== "open") return;
    this.#gone = true;
    if (outcome === undefined) this.outcomes.push({ kind: "left" });
    else outcome.body.leave();
    this.#onAbort?.();
  }

  #hold(held: boolean): void {
    assert.notEqual(this.held, held, "held back or let go twice");
    this.held = held;
    this.flowChanges++;
  }
}

/** The client's reading of a streamed response: all available bytes at once, unless it is told to wait. */
export class StreamedBody {
  readonly #source: BodySource;
  #taken: Uint8Array[] = [];
  #left = false;
  #reading = true;

  constructor(source: BodySource) {
    this.#source = source;
    source.onChange = () => {
      if (this.#reading) this.read();
    };
    this.read();
  }

  /** The end of the body for the client. */
  get end(): "open" | "complete" | "broken" | "left" {
    if (this.#left) return "left";
    switch (this.#source.state) {
      case "ended":
        return "complete";
      case "failed":
        return "broken";
      case "open":
        return "open";
    }
  }

  /** The status for a client that has received nothing when the body fails. */
  get failedAs(): number | undefined {
    return this.#source.failedAs;
  }

  get taken(): Buffer {
    return Buffer.concat(this.#taken);
  }

  /** From now on the client reads only on request. */
  stall(): void {
    this.#reading = false;
  }

  read(maxBytes = Number.MAX_SAFE_INTEGER): void {
    for (let left = maxBytes; left > 0;) {
      const piece = this.#source.read(left);
      if (piece === null) return;
      assert.ok(piece.length > 0 && piece.length <= left, "at least one byte and at most so many");
      left -= piece.length;
      this.#taken.push(Buffer.from(piece));
    }
  }

  leave(): void {
    this.#left = true;
    this.#source.cancel();
  }
}
