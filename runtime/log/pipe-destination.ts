import { closeSync, constants, openSync, writeSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { type LogDestination, MAX_CLOSE_MS, MAX_WAITING_BYTES, countLines } from "./destination.ts";

/**
 * Opens a pipe (`| jq`, a container's log) for writing without waiting, on Linux.
 *
 * Both usual ways hang with a reader that stopped reading: a blocking write on the main thread stops the server, one on
 * the thread pool stops the process from exiting (libuv joins its threads). The pipe is therefore opened once more, in
 * non-blocking mode: the mode belongs to that opening, so the descriptor that workers inherit stays as it was. A write then
 * takes some microseconds, and a full pipe says EAGAIN.
 *
 * @returns `null` where a pipe cannot be opened by its descriptor: not Linux, or it belongs to another user.
 */
export function openPipeDestination(descriptor: number): LogDestination | null {
  let fd: number;
  try {
    fd = openSync(`/proc/self/fd/${descriptor}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return null;
  }
  const waiting: Buffer[] = [];
  let waitingBytes = 0;
  let droppedLines = 0;
  let isGone = false;
  let timer: NodeJS.Timeout | null = null;
  let closed: Promise<void> | null = null;

  /** @returns How many bytes the pipe took: all or none up to `PIPE_BUF_BYTES`, perhaps a part of more. */
  function tryWrite(bytes: Buffer): number {
    try {
      return writeSync(fd, bytes);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : null;
      if (code !== "EAGAIN") giveUp();
      return 0;
    }
  }

  /** The reader is gone for ever. */
  function giveUp(): void {
    isGone = true;
    for (const bytes of waiting.splice(0)) droppedLines += countLines(bytes.toString("latin1"));
    waitingBytes = 0;
  }

  /** @returns Whether nothing waits any more. */
  function drain(): boolean {
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      const written = tryWrite(first);
      if (isGone) break;
      waitingBytes -= written;
      if (written < first.length) {
        waiting[0] = first.subarray(written);
        return false;
      }
      waiting.shift();
    }
    return true;
  }

  /** Asks again soon, and less and less often while the reader takes nothing. */
  function drainLater(afterMs: number): void {
    timer ??= setTimeout(() => {
      const before = waitingBytes;
      timer = null;
      if (drain()) return;
      drainLater(waitingBytes < before ? RETRY_MS : Math.min(afterMs * 2, MAX_RETRY_MS));
    }, afterMs).unref();
  }

  function flushSync(): void {
    const sleeper = new Int32Array(new SharedArrayBuffer(4));
    for (let waitedMs = 0; !drain() && waitedMs < MAX_CLOSE_MS; waitedMs += FLUSH_RETRY_MS) {
      Atomics.wait(sleeper, 0, 0, FLUSH_RETRY_MS);
    }
  }
  process.on("exit", flushSync);

  return {
    atomicBytes: PIPE_BUF_BYTES,
    write(lines) {
      const bytes = Buffer.from(lines);
      if (isGone || closed !== null || waitingBytes + bytes.length > MAX_WAITING_BYTES) {
        droppedLines += countLines(lines);
        return;
      }
      const written = waiting.length === 0 ? tryWrite(bytes) : 0;
      if (isGone) {
        droppedLines += countLines(lines);
      } else if (written < bytes.length) {
        waiting.push(bytes.subarray(written));
        waitingBytes += bytes.length - written;
        drainLater(RETRY_MS);
      }
    },
    get droppedLines() {
      return droppedLines;
    },
    reopen() {},
    flushSync,
    close() {
      closed ??= (async () => {
        for (let waitedMs = 0; !drain() && waitedMs < MAX_CLOSE_MS; waitedMs += RETRY_MS) {
          await delay(RETRY_MS);
        }
        if (timer !== null) clearTimeout(timer);
        process.off("exit", flushSync);
        closeSync(fd);
      })();
      return closed;
    },
  };
}

/** Writes to a pipe up to this size are atomic (POSIX; 4096 on Linux): lines of several processes do not mix. */
const PIPE_BUF_BYTES = 4096;

/** A pipe holds 64 KiB: what a fast reader takes per second is not bounded by this before 30 MB. */
const RETRY_MS = 2;

const MAX_RETRY_MS = 64;

const FLUSH_RETRY_MS = 10;
