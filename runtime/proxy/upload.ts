import { REQUEST_CREDIT_BYTES } from "../channel/messages.ts";
import type { ChunkTarget, RequestIntake } from "../bodies/request-intake.ts";
import type { UpstreamExchange } from "../upstream/exchange.ts";

/** Bytes that the upstream has taken are granted to the intake in pieces of this size. */
const GRANT_BYTES = REQUEST_CREDIT_BYTES / 2;

/**
 * A request body on its way from its intake to an upstream. Back-pressure passes through: the intake gets credit only for
 * bytes that the upstream takes.
 *
 * The first bytes are kept until the intake needs more credit, which is 128 KiB later. A request that did not reach its
 * upstream can so be sent to another one, although its body streams. A spooled body is read again instead.
 */
export class Upload implements ChunkTarget {
  readonly #intake: RequestIntake;
  /** `null`: between two attempts. */
  #exchange: UpstreamExchange | null = null;
  /** Copies of all bytes so far; `null`: there were too many, or the intake can read the body again. */
  #kept: Uint8Array[] | null = [];
  #isFed = false;
  #hasEnded = false;
  /** The upstream takes no more bytes for now. */
  #isBlocked = false;
  /** Bytes for which the intake has not got its credit back. */
  #owedBytes = 0;

  constructor(intake: RequestIntake) {
    this.#intake = intake;
  }

  /** Tells whether another attempt would get the body from its first byte. */
  get isKept(): boolean {
    return this.#kept !== null || this.#intake.rereadable;
  }

  /** Size of the body, if all of it is here; `null`: it is not. */
  get wholeBytes(): number | null {
    return this.#intake.isComplete ? this.#intake.receivedBytes : null;
  }

  /** Sends the body to this exchange, from its first byte. */
  attach(exchange: UpstreamExchange): void {
    this.#exchange = exchange;
    this.#isBlocked = false;
    if (this.#isFed && this.#kept !== null) {
      for (const bytes of this.#kept) this.#write(exchange, bytes);
      if (this.#hasEnded) exchange.end();
      this.#grant();
      return;
    }
    this.#isFed = true;
    this.#hasEnded = false;
    this.#owedBytes = 0;
    this.#intake.feed(this);
    if (this.#intake.rereadable) this.#kept = null;
  }

  /** Sends nothing more to the exchange. */
  detach(): void {
    this.#exchange = null;
  }

  /** Notes that there will be no other attempt. */
  commit(): void {
    this.#kept = null;
    this.#intake.commit();
  }

  /** Continues after the exchange was blocked. */
  onDrain(): void {
    this.#isBlocked = false;
    this.#grant();
  }

  chunk(bytes: Uint8Array): void {
    if (this.#kept !== null && !this.#intake.rereadable) this.#kept.push(new Uint8Array(bytes));
    this.#owedBytes += bytes.length;
    if (this.#exchange === null) return;
    this.#write(this.#exchange, bytes);
    // Later: the intake is in the middle of sending.
    if (!this.#isBlocked && this.#owedBytes >= GRANT_BYTES) queueMicrotask(() => this.#grant());
  }

  end(): void {
    this.#hasEnded = true;
    this.#exchange?.end();
  }

  #write(exchange: UpstreamExchange, bytes: Uint8Array): void {
    this.#isBlocked = !exchange.write(bytes);
  }

  #grant(): void {
    if (this.#exchange === null || this.#isBlocked || this.#owedBytes < GRANT_BYTES) return;
    const bytes = this.#owedBytes;
    this.#owedBytes = 0;
    this.#kept = null;
    this.#intake.grant(bytes);
  }
}
