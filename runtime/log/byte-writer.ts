const MOST_WHOLE = 2 ** 31 - 1;
const ZERO = 0x30;
const POINT = 0x2e;

/** Digits of base 36, as `Number.prototype.toString` has them. */
const DIGITS = Buffer.from("0123456789abcdefghijklmnopqrstuvwxyz", "latin1");

/**
 * Writes text into memory as bytes, one piece after the other. Makes no strings, which would be garbage.
 *
 * The caller makes sure that there is room.
 */
export class ByteWriter {
  memory: Buffer;
  /** Index of the next byte. */
  at = 0;

  constructor(memory: Buffer) {
    this.memory = memory;
  }

  bytes(piece: Uint8Array): void {
    this.memory.set(piece, this.at);
    this.at += piece.length;
  }

  /** Writes a text of ASCII characters. */
  ascii(text: string): void {
    const { memory, at } = this;
    for (let index = 0; index < text.length; index++) memory[at + index] = text.charCodeAt(index);
    this.at = at + text.length;
  }

  /** Writes a whole number, or any other number as JSON has it: `null` if it is infinite or not a number. */
  number(value: number): void {
    if (value >= 0 && value <= MOST_WHOLE && value % 1 === 0) this.#digits(value, 10);
    else this.ascii(Number.isFinite(value) ? String(value) : "null");
  }

  /** Writes a whole number from 0 to 2^53 - 1 in base 36. */
  base36(value: number): void {
    this.#digits(value, 36);
  }

  /** Writes milliseconds with three decimals: `0.420`, `12.007`. */
  milliseconds(ms: number): void {
    const microseconds = Math.round(ms * 1000);
    if (!(microseconds >= 0 && microseconds <= Number.MAX_SAFE_INTEGER)) {
      this.number(ms);
      return;
    }
    const whole = Math.floor(microseconds / 1000);
    this.#digits(whole, 10);
    this.memory[this.at++] = POINT;
    this.decimals(microseconds - whole * 1000);
  }

  /** Writes three digits. */
  decimals(value: number): void {
    const { memory, at } = this;
    const hundreds = (value / 100) | 0;
    const tens = ((value - hundreds * 100) / 10) | 0;
    memory[at] = ZERO + hundreds;
    memory[at + 1] = ZERO + tens;
    memory[at + 2] = ZERO + value - hundreds * 100 - tens * 10;
    this.at = at + 3;
  }

  #digits(value: number, base: number): void {
    let digits = 1;
    for (let least = base; value >= least; least *= base) digits++;
    const { memory } = this;
    const end = this.at + digits;
    let rest = value;
    for (let index = end - 1; index >= this.at; index--) {
      const next = Math.floor(rest / base);
      memory[index] = DIGITS[rest - next * base] ?? ZERO;
      rest = next;
    }
    this.at = end;
  }
}
