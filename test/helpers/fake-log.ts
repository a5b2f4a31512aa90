import { EventEmitter, once } from "node:events";
import pino, { type Logger } from "pino";

/** A logger whose lines a test reads. */
export interface FakeLog {
  readonly log: Logger;
  readonly lines: Readonly<Record<string, unknown>>[];
  /** Waits for a line; those that are there already count. */
  until: (predicate: (line: Readonly<Record<string, unknown>>) => boolean) => Promise<void>;
}

export function createFakeLog(): FakeLog {
  const lines: Readonly<Record<string, unknown>>[] = [];
  const events = new EventEmitter();
  const log = pino(
    { base: null, timestamp: false, level: "trace" },
    {
      write(text: string) {
        // Lines of pino are objects.
        lines.push(JSON.parse(text) as Readonly<Record<string, unknown>>);
        events.emit("line");
      },
    },
  );
  return {
    log,
    lines,
    async until(predicate) {
      // Servers and timers of the tested code may not keep the process alive.
      const alive = setInterval(() => {}, 60_000);
      try {
        while (!lines.some(predicate)) await once(events, "line");
      } finally {
        clearInterval(alive);
      }
    },
  };
}
