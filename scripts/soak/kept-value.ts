/**
 * A key with rising numbers that one client writes. The first write without an answer is its last one: such a write may take effect
 * later than one that follows it.
 */
export class KeptValue {
  readonly key: string;
  #next = 1;
  /** The last number whose write was acknowledged; `null`: none. */
  #acknowledged: number | null = null;
  #unanswered: number | null = null;
  /** The number that the store had after the last write. */
  #seen: number | null | undefined = undefined;

  constructor(key: string) {
    this.key = key;
  }

  /** The number to write. Counts as unanswered until `acknowledge`. */
  begin(): number {
    this.#unanswered = this.#next++;
    this.#seen = undefined;
    return this.#unanswered;
  }

  acknowledge(): void {
    this.#acknowledged = this.#unanswered;
    this.#unanswered = null;
  }

  /** Compares the value in the store. Returns the fault, or `null`. Call while no write is in flight. */
  judge(value: string | null): string | null {
    const number = value === null ? null : Number(value);
    const seen = this.#seen;
    this.#seen = number;
    if (seen !== undefined && number !== seen) return `${this.key} was ${seen}, and is ${value}`;
    const isExpected =
      number === this.#acknowledged || (this.#unanswered !== null && number === this.#unanswered);
    if (isExpected) return null;
    return `${this.key} is ${value}, expected ${this.#acknowledged} or ${this.#unanswered}`;
  }
}
