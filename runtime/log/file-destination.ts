import pino from "pino";
import { type LogDestination, MAX_CLOSE_MS, MAX_WAITING_BYTES, countLines } from "./destination.ts";

/**
 * Opens a file to append to, or a descriptor that is a file, a terminal or a socket (journald).
 *
 * SonicBoom writes on Node's thread pool, one write at a time.
 */
export function openFileDestination(target: number | string): LogDestination {
  let droppedLines = 0;
  let retries: number | null = null;
  let isGone = false;
  let closed: Promise<void> | null = null;

  const stream = pino.destination({
    dest: target,
    sync: false,
    minLength: 0,
    maxLength: MAX_WAITING_BYTES,
    maxWrite: MAX_WRITE_BYTES,
    // EAGAIN, from a descriptor that somebody made non-blocking: asked again every 100 ms, at the end not for ever.
    retryEAGAIN: () => retries === null || ++retries <= MAX_CLOSE_MS / 100,
  });
  stream.on("drop", (lines: string) => {
    droppedLines += countLines(lines);
  });
  stream.on("error", (error: NodeJS.ErrnoException) => {
    // The reader is gone for ever (EPIPE). After others (ENOSPC, EIO) SonicBoom keeps the lines and tries with the next
    // ones. There is nowhere left to report either.
    isGone ||= error.code === "EPIPE";
  });

  return {
    atomicBytes: MAX_WRITE_BYTES,
    write(lines) {
      if (isGone || closed !== null) droppedLines += countLines(lines);
      else stream.write(lines);
    },
    get droppedLines() {
      return droppedLines;
    },
    reopen() {
      if (typeof target === "string" && closed === null) stream.reopen();
    },
    flushSync() {
      retries = 0;
      try {
        stream.flushSync();
      } catch {
        // The reader is stuck or gone, or the file is not open yet: the process ends without these lines.
      }
      retries = null;
    },
    close() {
      closed ??= new Promise((settle) => {
        if (isGone) return settle();
        retries = 0;
        const timer = setTimeout(settle, MAX_CLOSE_MS);
        const done = (): void => {
          clearTimeout(timer);
          settle();
        };
        stream.once("close", done);
        stream.once("error", done);
        stream.end();
      });
      return closed;
    },
  };
}

const MAX_WRITE_BYTES = 64 * 1024;
