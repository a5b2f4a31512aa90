import assert from "node:assert/strict";
import type {
  ExchangeEvents,
  UpstreamExchange,
  UpstreamFailure,
  UpstreamHead,
  UpstreamRequest,
  UpstreamServer,
  UpstreamStatus,
} from "../../runtime/upstream/exchange.ts";

/** An attempt at a server without a socket. The test plays the upstream. */
export class FakeAttempt implements UpstreamExchange {
  readonly request: UpstreamRequest;
  readonly events: ExchangeEvents;
  /** Bytes of the body, with those that came with the request. */
  readonly written: Buffer[] = [];
  /** The upstream takes no more bytes until the test calls `drain`. */
  isBlocked = false;
  hasEnded = false;
  isPaused = false;
  isAborted = false;
  isRequestSent = true;

  constructor(request: UpstreamRequest, events: ExchangeEvents) {
    this.request = request;
    this.events = events;
    if (request.body instanceof Uint8Array) this.written.push(Buffer.from(request.body));
  }

  get body(): string {
    return Buffer.concat(this.written).toString();
  }

  write(bytes: Uint8Array): boolean {
    assert.ok(!this.isAborted && !this.hasEnded, "no write after the end");
    this.written.push(Buffer.from(bytes));
    return !this.isBlocked;
  }

  end(): void {
    assert.ok(!this.hasEnded, "one end");
    this.hasEnded = true;
  }

  pause(): void {
    assert.ok(!this.isPaused, "one pause at a time");
    this.isPaused = true;
  }

  resume(): void {
    assert.ok(this.isPaused, "a pause before");
    this.isPaused = false;
  }

  abort(): void {
    this.isAborted = true;
  }

  drain(): void {
    this.isBlocked = false;
    this.events.onDrain();
  }

  /** Sends a head, and `chunks` if there are any. */
  head(head: Partial<UpstreamHead> = {}): void {
    this.events.onHead({ status: 200, statusText: "OK", fields: "", bodyBytes: null, ...head });
  }

  /** Sends a piece of the response in memory that is used again. */
  chunk(text: string | Uint8Array): void {
    const lent = Buffer.from(text);
    this.events.onChunk(lent);
    lent.fill(0xff);
  }

  finish(): void {
    this.events.onEnd();
  }

  /** Sends a whole response. */
  answer(body: string, head: Partial<UpstreamHead> = {}): void {
    this.head({ bodyBytes: body.length, ...head });
    if (body !== "") this.chunk(body);
    this.finish();
  }

  fail(failure: Partial<UpstreamFailure> = {}): void {
    this.events.onFailed({
      phase: "connect",
      reason: "connection refused",
      code: null,
      sent: false,
      begun: false,
      reused: false,
      timedOut: false,
      ...failure,
    });
  }
}

/** A server without sockets. */
export class FakeServer implements UpstreamServer {
  readonly name: string;
  readonly inFlight = 0;
  readonly attempts: FakeAttempt[] = [];
  /** Called with each attempt, after `open`. */
  onAttempt: (attempt: FakeAttempt) => void = () => {};

  constructor(name: string) {
    this.name = name;
  }

  /** The last attempt. */
  get last(): FakeAttempt {
    const last = this.attempts.at(-1);
    assert.ok(last !== undefined, `${this.name} has a request`);
    return last;
  }

  open(request: UpstreamRequest, events: ExchangeEvents): UpstreamExchange {
    const attempt = new FakeAttempt(request, events);
    this.attempts.push(attempt);
    this.onAttempt(attempt);
    return attempt;
  }

  status(): UpstreamStatus {
    return assert.fail("not asked");
  }

  close(): Promise<void> {
    return assert.fail("not asked");
  }

  destroy(): void {
    assert.fail("not asked");
  }
}
