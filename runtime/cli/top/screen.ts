import type { ReadStream, WriteStream } from "node:tty";

/** Shows the alternate screen and hides the cursor; and back. */
const ENTER = "\u001b[?1049h\u001b[?25l";
const LEAVE = "\u001b[?25h\u001b[?1049l";

/** A terminal that knows it shows all changes between the two at once (mode 2026); others ignore them. */
const BEGIN = "\u001b[?2026h\u001b[H";
const END = "\u001b[J\u001b[?2026l";

/** Clears the rest of a line. */
const CLEAR = "\u001b[K";

/** The whole terminal, which shows lines until it is closed. */
export class Screen {
  readonly #output: WriteStream;
  readonly #input: ReadStream;
  readonly #onKey: (key: string) => void;
  #isOpen = false;

  /** @param onKey Called for each key, `\u0003` for Ctrl+C. */
  constructor({
    output,
    input,
    onKey,
  }: {
    output: WriteStream;
    input: ReadStream;
    onKey: (key: string) => void;
  }) {
    this.#output = output;
    this.#input = input;
    this.#onKey = onKey;
  }

  get columns(): number {
    return this.#output.columns;
  }

  get rows(): number {
    return this.#output.rows;
  }

  /** Takes the terminal. Every exit of the process gives it back. */
  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    process.on("exit", this.#restore);
    this.#output.write(ENTER);
    if (this.#input.isTTY) {
      this.#input.setRawMode(true);
      this.#input.setEncoding("utf8");
      this.#input.on("data", this.#read);
      this.#input.resume();
    }
  }

  /** Replaces all lines. Does nothing while the terminal has not taken the last ones. */
  draw(lines: readonly string[]): void {
    if (!this.#isOpen || this.#output.writableNeedDrain) return;
    this.#output.write(BEGIN + lines.map((line) => line + CLEAR).join("\r\n") + END);
  }

  /** Gives the terminal back, as it was. Idempotent. */
  close(): void {
    this.#restore();
    process.off("exit", this.#restore);
    this.#input.off("data", this.#read);
    this.#input.pause();
  }

  readonly #read = (data: string): void => {
    for (const key of data) this.#onKey(key);
  };

  readonly #restore = (): void => {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (this.#input.isTTY) this.#input.setRawMode(false);
    this.#output.write(LEAVE);
  };
}
