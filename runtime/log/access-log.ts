import { type LineOptions, toAccessEntry, type WriteLine } from "./access-entry.ts";
import { createPrettyLine, type LineFormat } from "./access-line.ts";
import type { LogDestination } from "./destination.ts";
import { createJsonLines } from "./json-line.ts";
import { LineBatch } from "./line-batch.ts";

/** The access log: one line per exchange, buffered. */
export interface AccessLog {
  /** Returns a function that writes lines by these rules. It has no effect once the log is closed. */
  lines(options: LineOptions): WriteLine;
  /** Passes the buffered lines to the destination. */
  flush(): void;
  /** Flushes and stops. Does not close the destination. Idempotent. */
  close(): void;
}

/**
 * Creates the access log.
 *
 * While a request is handled, its line is only written to memory. Lines reach the destination in batches: when a batch is
 * full or 100 ms old, and when the process exits. `kill -9` loses at most the lines of the last 100 ms and those that a
 * slow reader has not taken.
 *
 * @param options.pretty Writes a short line for terminals instead of JSON.
 * @param options.format Writes lines of this format instead.
 * @param options.onClosed Called once, when the destination has the last line.
 */
export function createAccessLog(
  destination: LogDestination,
  options: { pretty: boolean; color: boolean; format?: LineFormat | null; onClosed?: () => void },
): AccessLog {
  const format = options.format ?? (options.pretty ? createPrettyLine(options.color) : null);
  const batch = new LineBatch(destination, options.pretty ? 0 : BATCH_AGE_MS);

  function flushAtExit(): void {
    batch.flush();
    destination.flushSync();
  }
  process.on("exit", flushAtExit);

  return {
    lines: (lineOptions) =>
      format === null
        ? createJsonLines(batch, lineOptions)
        : createTextLines(batch, format, lineOptions),
    flush: () => batch.flush(),
    close() {
      if (batch.isClosed) return;
      process.off("exit", flushAtExit);
      batch.close();
      options.onClosed?.();
    },
  };
}

const BATCH_AGE_MS = 100;

function createTextLines(batch: LineBatch, format: LineFormat, options: LineOptions): WriteLine {
  return (exchange, end) => {
    if (batch.isClosed) return;
    batch.addText(format(toAccessEntry(exchange, end, options), end.timeMs));
  };
}
