/**
 * Where log lines go: a file, a pipe or a terminal.
 *
 * Writing never waits for the reader. While the disk or the pipe is slow lines are kept in memory, in order, up to
 * `MAX_WAITING_BYTES`; above that new ones are dropped and counted: a log that nobody reads must neither stop the server
 * nor eat its memory. A reader that went away drops lines too.
 *
 * What is waiting is written when the process exits, also after an uncaught exception. `kill -9` and a crash of the
 * process itself lose it.
 */
export interface LogDestination {
  /** Takes whole lines: text that ends with a line feed. */
  write(lines: string): void;
  /** Largest text that reaches the reader in one piece, not mixed with the lines of other processes. */
  readonly atomicBytes: number;
  /** Lines that were dropped so far. */
  readonly droppedLines: number;
  /** Called with their number once lines are taken again after some were dropped. One listener. */
  onLost: ((lines: number) => void) | null;
  /** Opens the file anew, after it was renamed by logrotate. Does nothing for a descriptor. */
  reopen(): void;
  /** Writes what is waiting, blocking, for at most about a second if the reader is stuck. For the end of the process. */
  flushSync(): void;
  /** Writes what is waiting, for at most about a second, then closes. Idempotent. */
  close(): Promise<void>;
}

/** About 15,000 access lines. */
export const MAX_WAITING_BYTES = 4 * 1024 * 1024;

/** How long the end waits for a reader that is stuck. */
export const MAX_CLOSE_MS = 1000;

/** How many line feeds a text has. */
export function countLines(text: string): number {
  let lines = 0;
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) lines++;
  return lines;
}

/** Counts the lines that a destination drops, and how many of them nobody has been told of. */
export class LostLines {
  #total = 0;
  #told = 0;

  get total(): number {
    return this.#total;
  }

  add(text: string): void {
    this.#total += countLines(text);
  }

  /** Calls `onLost` if there is something to tell. */
  tell(onLost: LogDestination["onLost"]): void {
    const lines = this.#total - this.#told;
    if (lines === 0 || onLost === null) return;
    // First: it will write a line.
    this.#told = this.#total;
    onLost(lines);
  }
}
