import { CHUNK_BYTES } from "../channel/messages.ts";
import type { BodySource } from "../http/client.ts";

export interface SentBodyOptions {
  /** Sends at most `CHUNK_BYTES`, which are lent. */
  send: (bytes: Uint8Array) => void;
  /** Called once, unless the body is cancelled. `false`: the rest will never come. */
  onEnd: (isWhole: boolean) => void;
}

/** Sends a stored body to a worker, as far as the credit of the worker goes. */
export class SentBody {
  readonly #source: BodySource;
  readonly #options: SentBodyOptions;
  #creditBytes = 0;
  #isEnded = false;

  constructor(source: BodySource, options: SentBodyOptions) {
    this.#source = source;
    this.#options = options;
    source.onChange = () => this.#pump();
  }

  /** The worker takes so many more bytes. */
  grant(bytes: number): void {
    this.#creditBytes += bytes;
    this.#pump();
  }

  /** The worker takes no more bytes. */
  cancel(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#source.onChange = null;
    this.#source.cancel();
  }

  #pump(): void {
    while (!this.#isEnded && this.#creditBytes > 0) {
      const bytes = this.#source.read(Math.min(this.#creditBytes, CHUNK_BYTES));
      if (bytes !== null) {
        this.#creditBytes -= bytes.length;
        this.#options.send(bytes);
      }
      if (this.#source.state !== "open") this.#end(this.#source.state === "ended");
      else if (bytes === null) return;
    }
    // Without credit the source may still fail.
    if (!this.#isEnded && this.#source.state === "failed") this.#end(false);
  }

  #end(isWhole: boolean): void {
    this.#isEnded = true;
    this.#source.onChange = null;
    this.#options.onEnd(isWhole);
  }
}
