import type { BodySource } from "../../runtime/http/client.ts";

/** A body that gets its bytes from the test. It overwrites a piece as soon as the piece is not lent any more. */
export class LendingSource implements BodySource {
  onChange: (() => void) | null = null;
  state: BodySource["state"] = "open";
  failedAs = 507;
  cancels = 0;
  reads = 0;
  #waiting = Buffer.alloc(0);
  #lent = Buffer.alloc(0);

  add(bytes: Uint8Array): void {
    this.#waiting = Buffer.concat([this.#waiting, bytes]);
    this.onChange?.();
  }

  /** @param state `ended` takes effect once all bytes were read. */
  finish(state: "ended" | "failed"): void {
    this.state = state;
    this.onChange?.();
  }

  get waitingBytes(): number {
    return this.#waiting.length;
  }

  read(maxBytes: number): Uint8Array | null {
    this.reads++;
    this.#lent.fill(0xff);
    if (this.#waiting.length === 0) return null;
    this.#lent = Buffer.from(this.#waiting.subarray(0, maxBytes));
    this.#waiting = this.#waiting.subarray(this.#lent.length);
    return this.#lent;
  }

  cancel(): void {
    this.cancels++;
    this.#lent.fill(0xff);
  }
}
