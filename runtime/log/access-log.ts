import type { LogDestination } from "./destination.ts";
import {
  type AccessEntry,
  createJsonLine,
  createPrettyLine,
  type LineFormat,
} from "./access-line.ts";

/** The access log: one line per exchange, buffered. */
export interface AccessLog {
  line(entry: AccessEntry): void;
  /** Passes the buffered lines to the destination. */
  flush(): void;
  /** Flushes and stops. Does not close the destination. Idempotent. */
  close(): void;
}

/**
 * Creates the access log.
 *
 * While a request is handled, `line()` only joins strings. Lines reach the destination in batches: when a batch is full
 * or 100 ms old, and when the process exits. `kill -9` loses at most the lines of the last 100 ms and those that a slow
 * reader has not taken.
 *
 * @param options.pretty Writes a short line for terminals instead of JSON.
 * @param options.format Writes lines of this format instead.
 * @param options.onClosed Called once, when the destination has the last line.
 */
export function createAccessLog(
  destination: LogDestination,
  options: { pretty: boolean; color: boolean; format?: LineFormat | null; onClosed?: () => void },
): AccessLog {
  const format =
    options.format ?? (options.pretty ? createPrettyLine(options.color) : createJsonLine());
  const batchAgeMs = options.pretty ? 0 : BATCH_AGE_MS;
  let batch = "";
  let timer: NodeJS.Timeout | null = null;
  let isClosed = false;

  function flush(): void {
    if (batch === "") return;
    const lines = batch;
    batch = "";
    destination.write(lines);
  }

  // A full batch does not stop the timer. This keeps it at ten timers per second for any number of batches.
  function flushLater(): void {
    timer = null;
    flush();
  }

  function flushAtExit(): void {
    flush();
    destination.flushSync();
  }
  process.on("exit", flushAtExit);

  return {
    line(entry) {
      if (isClosed) return;
      const line = format(entry, Date.now());
      if (batch.length + line.length > destination.atomicBytes) flush();
      batch += line;
      timer ??= setTimeout(flushLater, batchAgeMs).unref();
    },
    flush,
    close() {
      if (isClosed) return;
      isClosed = true;
      process.off("exit", flushAtExit);
      if (timer !== null) clearTimeout(timer);
      flush();
      options.onClosed?.();
    },
  };
}

const BATCH_AGE_MS = 100;
