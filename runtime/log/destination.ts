/**
 * The target of log lines: a file, a pipe or a terminal.
 *
 * Writing never waits for the reader. While the disk or the pipe is slow, lines wait in memory, in order, up to
 * `MAX_WAITING_BYTES`. Above that, new lines are dropped and counted: a stuck log must neither stop the server nor
 * exhaust its memory. Lines for a reader that is gone are dropped, too.
 *
 * Waiting lines are written when the process exits, also after an uncaught exception. `kill -9` and a crash of Node
 * itself lose them.
 */
export interface LogDestination {
  /** Writes whole lines: text, or its bytes in UTF-8, that ends with a line feed. Copies the bytes that it keeps. */
  write(lines: string | Buffer): void;
  /** Largest text that reaches the reader in one piece, not mixed with lines of other processes. */
  readonly atomicBytes: number;
  /** Number of lines that were dropped so far. */
  readonly droppedLines: number;
  /** Called with the number of dropped lines once lines are accepted again. There is one listener. */
  onLost: ((lines: number) => void) | null;
  /** Opens the file again after logrotate renamed it. Has no effect for a descriptor. */
  reopen(): void;
  /** Writes all waiting lines synchronously, for at most about a second if the reader is stuck. For process exit. */
  flushSync(): void;
  /** Writes all waiting lines, for at most about a second, then closes. Idempotent. */
  close(): Promise<void>;
}

/** Most bytes that wait in memory: about 15,000 access lines. */
export const MAX_WAITING_BYTES = 4 * 1024 * 1024;

/** Timeout of closing while the reader is stuck. */
export const MAX_CLOSE_MS = 1000;

/** Counts the line feeds of a text or of its bytes. */
export function countLines(text: string | Buffer): number {
  let lines = 0;
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) lines++;
  return lines;
}

/** Counts the lines that a destination drops, and remembers how many were reported. */
export class LostLines {
  #total = 0;
  #reported = 0;

  get total(): number {
    return this.#total;
  }

  add(text: string | Buffer): void {
    this.#total += countLines(text);
  }

  /** Calls `onLost` if lines were dropped since the last report. */
  report(onLost: LogDestination["onLost"]): void {
    const lines = this.#total - this.#reported;
    if (lines === 0 || onLost === null) return;
    // Must come first, because `onLost` writes a line.
    this.#reported = this.#total;
    onLost(lines);
  }
}
