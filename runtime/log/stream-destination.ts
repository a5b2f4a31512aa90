import { closeSync, constants, openSync, writeSync } from "node:fs";
import type { Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { type LogDestination, LostLines, MAX_CLOSE_MS, MAX_WAITING_BYTES } from "./destination.ts";

/**
 * Opens a pipe or a terminal (`| jq`, a container's log) for writing without waiting, on Linux.
 *
 * Both usual ways hang when the reader stalls. A blocking write on the main thread stops the server. A blocking write
 * on the thread pool keeps the process from exiting (libuv joins its threads). Therefore this opens the pipe a second
 * time, in non-blocking mode. The mode belongs to this open file description, so the descriptor that workers inherit
 * stays unchanged. A write then takes some microseconds, and a full pipe returns EAGAIN.
 *
 * @param target A descriptor, or a path.
 * @returns `null` if the target cannot be opened in this way: the system is not Linux, or the pipe belongs to another
 *   user.
 */
export function openStreamDestination(target: number | string): LogDestination | null {
  const path = typeof target === "string" ? target : `/proc/self/fd/${target}`;
  try {
    const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    return createStreamDestination(fd, { closes: true, prepare: () => {} });
  } catch {
    return null;
  }
}

/**
 * Opens standard output or standard error if it is a socket (journald, a parent that is Node). A socket cannot be
 * opened a second time, so all processes that share it share its mode. Each Node process makes it blocking when it
 * starts and when it ends. Therefore this makes it non-blocking again before each write.
 *
 * @param stream Node's own stream of the socket.
 * @returns `null` if this version of Node offers no way to do so.
 */
export function openSocketDestination(stream: Writable): LogDestination | null {
  // libuv's handle is undocumented, so it may disappear.
  const { _handle: handle, fd } = stream as {
    _handle?: { setBlocking?: (isBlocking: boolean) => number };
    fd?: number;
  };
  if (typeof handle?.setBlocking !== "function" || fd === undefined) return null;
  const prepare = (): void => void handle.setBlocking?.(false);
  return createStreamDestination(fd, { closes: false, prepare });
}

/**
 * Creates a destination for a non-blocking descriptor.
 *
 * @param options.prepare Called before each write.
 */
function createStreamDestination(
  fd: number,
  { closes, prepare }: { closes: boolean; prepare: () => void },
): LogDestination {
  const waiting: Buffer[] = [];
  let waitingBytes = 0;
  const lost = new LostLines();
  let isGone = false;
  /** A synchronous flush timed out. The next one does not wait. */
  let isStuck = false;
  let timer: NodeJS.Timeout | null = null;
  let closed: Promise<void> | null = null;

  /**
   * Returns the number of bytes that the pipe took: all or none up to `PIPE_BUF_BYTES`, possibly a part of a larger
   * write.
   */
  function tryWrite(bytes: Buffer): number {
    try {
      prepare();
      return writeSync(fd, bytes);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : null;
      if (code !== "EAGAIN") giveUp();
      return 0;
    }
  }

  /** Drops all waiting lines, because the reader is gone. */
  function giveUp(): void {
    isGone = true;
    for (const bytes of waiting.splice(0)) lost.add(bytes);
    waitingBytes = 0;
  }

  /** Writes as much as the reader takes. Returns true if the queue is empty. */
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

  /** Retries soon, and less and less often while the reader takes nothing. */
  function drainLater(afterMs: number): void {
    timer ??= setTimeout(() => {
      const before = waitingBytes;
      timer = null;
      if (!drain()) {
        drainLater(waitingBytes < before ? RETRY_MS : Math.min(afterMs * 2, MAX_RETRY_MS));
      } else if (!isGone) lost.report(destination.onLost);
    }, afterMs).unref();
  }

  function flushSync(): void {
    const sleeper = new Int32Array(new SharedArrayBuffer(4));
    const mostMs = isStuck ? 0 : MAX_CLOSE_MS;
    for (let waitedMs = 0; !drain(); waitedMs += FLUSH_RETRY_MS) {
      isStuck = waitedMs >= mostMs;
      if (isStuck) return;
      Atomics.wait(sleeper, 0, 0, FLUSH_RETRY_MS);
    }
  }
  process.on("exit", flushSync);

  const destination: LogDestination = {
    atomicBytes: PIPE_BUF_BYTES,
    onLost: null,
    write(lines) {
      const bytes = typeof lines === "string" ? Buffer.from(lines) : lines;
      if (isGone || closed !== null || waitingBytes + bytes.length > MAX_WAITING_BYTES) {
        lost.add(lines);
        return;
      }
      const written = waiting.length === 0 ? tryWrite(bytes) : 0;
      if (isGone) {
        lost.add(lines);
      } else if (written < bytes.length) {
        const rest = bytes.subarray(written);
        waiting.push(bytes === lines ? Buffer.from(rest) : rest);
        waitingBytes += bytes.length - written;
        drainLater(RETRY_MS);
      }
    },
    get droppedLines() {
      return lost.total;
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
        if (closes) closeSync(fd);
      })();
      return closed;
    },
  };
  return destination;
}

/**
 * Size up to which writes to a pipe are atomic, so that lines of several processes do not mix (POSIX; 4096 on Linux).
 */
const PIPE_BUF_BYTES = 4096;

/** Delay of a retry. A pipe holds 64 KiB, so this limits a fast reader to 30 MB per second. */
const RETRY_MS = 2;

const MAX_RETRY_MS = 64;

const FLUSH_RETRY_MS = 10;
