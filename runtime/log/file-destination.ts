import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  openSync,
  stat,
  write,
  writeSync,
} from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { type LogDestination, LostLines, MAX_CLOSE_MS, MAX_WAITING_BYTES } from "./destination.ts";

/** Mode of the file, readable by owner and group only: access lines contain addresses of clients. */
const FILE_MODE = 0o640;

/** Appends, so that processes can share a file. Does not wait for a reader if the file is a pipe. */
const OPEN_FLAGS =
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;

/** Time between attempts while writing fails. */
const RETRY_MS = 1_000;

/** Time between attempts while a terminal or a pipe is full (EAGAIN). */
const BUSY_RETRY_MS = 20;

/** Shortest time between checks that the path still names the open file. */
const CHECK_MS = 100;

const CLOSE_POLL_MS = 5;

/** Size from which lines are copied into memory that is used again. Node takes smaller pieces from a pool. */
const LEAST_REUSED_BYTES = 4096;

const NOTHING = Buffer.alloc(0);

/**
 * Opens a file for appending, and creates it if it is missing.
 *
 * @throws Error of `node:fs`.
 */
export function openLogFile(path: string): number {
  return openSync(path, OPEN_FLAGS, FILE_MODE);
}

/**
 * A file for appending: a path, or an open descriptor. Writes on Node's thread pool, because a disk may be slow. There
 * is one write at a time.
 *
 *     idle ──write()──▶ writing ──all is written──▶ idle
 *                        │   ▲
 *                  it fails  after 1 s, or reopen()
 *                        ▼   │
 *                       stuck
 *
 * If the path's file was renamed and another file is there, that one is opened within a moment. Processes that get no
 * signal (workers, the parent that an upgrade left behind) follow a rotation in this way, too. `reopen()` does it at
 * once and creates a missing file. A switch happens between two writes, so no line is split between two files.
 *
 * A full disk, or a path that cannot be opened, is reported once, and the lines wait as for a slow disk. If a full disk
 * took a part of a line, the rest follows later.
 */
export class FileDestination implements LogDestination {
  readonly atomicBytes = 64 * 1024;
  onLost: LogDestination["onLost"] = null;
  readonly #path: string | null;
  readonly #report: (problem: string) => void;
  readonly #lost = new LostLines();
  readonly #flushAtExit = (): void => {
    this.#exiting = true;
    this.flushSync();
  };
  /** The process is exiting. Node then cancels writes that the thread pool has not begun. */
  #exiting = false;
  #state: "idle" | "writing" | "stuck" = "idle";
  #fd: number | null = null;
  /** Device and inode of the open file. */
  #identity = "";
  #checkedAtMs = 0;
  /** The path must be opened again before the next write. */
  #reopens = false;
  /** Whole lines that wait to be written. */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  /** Memory for a full batch, which is used again; `null` before the first one. */
  #memory: Buffer | null = null;
  /** Lines in the memory wait or are being written. */
  #memoryIsUsed = false;
  /** The bytes of the present write. */
  #chunk: Buffer | null = null;
  /** Number of these bytes that are written. */
  #written = 0;
  #retryTimer: NodeJS.Timeout | undefined;
  /** Problems that were reported and still exist. */
  readonly #reported = { open: false, write: false };
  #closed: Promise<void> | null = null;
  /** `close` was called during a write that took too long. */
  #endsWhenDone = false;

  /** Opens the file. Never throws: retries a path that cannot be opened. */
  constructor(target: number | string, report: (problem: string) => void = () => {}) {
    this.#path = typeof target === "string" ? target : null;
    this.#report = report;
    if (typeof target === "number") this.#fd = target;
    else this.#open();
    process.on("exit", this.#flushAtExit);
  }

  get droppedLines(): number {
    return this.#lost.total;
  }

  write(lines: string | Buffer): void {
    const waitingBytes = this.#waitingBytes + (this.#chunk?.length ?? 0);
    if (this.#closed !== null || waitingBytes + lines.length > MAX_WAITING_BYTES) {
      this.#lost.add(lines);
      return;
    }
    const bytes = this.#keep(lines);
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (!this.#exiting) this.#advance();
  }

  /** Copies lines. Most batches are written before the next one comes, and have the same memory. */
  #keep(lines: string | Buffer): Buffer {
    if (typeof lines === "string" || lines.length < LEAST_REUSED_BYTES) return Buffer.from(lines);
    if (this.#memoryIsUsed || lines.length > this.atomicBytes) return Buffer.from(lines);
    this.#memoryIsUsed = true;
    this.#memory ??= Buffer.allocUnsafeSlow(this.atomicBytes);
    lines.copy(this.#memory);
    return this.#memory.subarray(0, lines.length);
  }

  /** Returns all waiting lines, which then no longer wait. */
  #takeWaiting(): Buffer {
    const [first = NOTHING, ...others] = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    if (others.length === 0) return first;
    const all = Buffer.concat([first, ...others]);
    this.#memoryIsUsed = this.#isMemory(this.#chunk);
    return all;
  }

  #isMemory(bytes: Buffer | null): boolean {
    return this.#memory !== null && bytes !== null && bytes.buffer === this.#memory.buffer;
  }

  reopen(): void {
    if (this.#path === null || this.#closed !== null) return;
    this.#reopens = true;
    this.#retry();
  }

  flushSync(): void {
    // A write that runs in the thread pool is left to Node, which waits for it before the process ends.
    const rest = this.#state === "writing" ? null : this.#chunk?.subarray(this.#written);
    const bytes = Buffer.concat([rest ?? NOTHING, this.#takeWaiting()]);
    if (this.#state !== "writing") this.#chunk = null;
    // All other lines are copied.
    this.#memoryIsUsed = this.#isMemory(this.#chunk);
    if (bytes.length === 0) return;
    if (this.#fd === null) this.#open();
    const written = this.#fd === null ? 0 : this.#writeSync(this.#fd, bytes);
    if (written === bytes.length) return;
    this.#lost.add(bytes.subarray(written));
    this.#report(`Cannot write the log ${this.#path ?? ""}: ${this.droppedLines} lines are lost`);
  }

  /** Writes synchronously, for at most about a second. Returns the number of written bytes. */
  #writeSync(fd: number, bytes: Buffer): number {
    const deadlineMs = performance.now() + MAX_CLOSE_MS;
    for (let at = 0; ;) {
      try {
        at += writeSync(fd, bytes, at);
        if (at === bytes.length) return at;
      } catch (error) {
        if (!isBusy(error)) this.#trouble("write", error);
        if (!isBusy(error) || performance.now() > deadlineMs) return at;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BUSY_RETRY_MS);
      }
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#retry();
    for (let waitedMs = 0; this.#state === "writing" && waitedMs < MAX_CLOSE_MS;) {
      await delay(CLOSE_POLL_MS);
      waitedMs += CLOSE_POLL_MS;
    }
    clearTimeout(this.#retryTimer);
    // If the thread pool is stuck, the rest is written when it goes on, or when the process ends.
    if (this.#state !== "writing") this.#end();
    else this.#endsWhenDone = true;
  }

  #end(): void {
    process.off("exit", this.#flushAtExit);
    this.flushSync();
    if (this.#path !== null && this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  get #isIdle(): boolean {
    return this.#state === "idle";
  }

  #advance(): void {
    if (!this.#isIdle) return;
    if (this.#endsWhenDone) {
      this.#end();
      return;
    }
    if (this.#reopens || this.#fd === null) this.#open();
    // The listener of problems may have called `reopen`, which has begun a write.
    if (!this.#isIdle || (this.#chunk === null && this.#waiting.length === 0)) return;
    if (this.#fd === null) {
      this.#retryLater(RETRY_MS);
      return;
    }
    this.#state = "writing";
    if (this.#mustCheckPath()) this.#checkPath();
    else this.#write(this.#fd);
  }

  #write(fd: number): void {
    if (this.#chunk === null) {
      this.#chunk = this.#takeWaiting();
      this.#written = 0;
    }
    const { length } = this.#chunk;
    write(fd, this.#chunk, this.#written, length - this.#written, null, (error, bytes) => {
      this.#state = "idle";
      if (error !== null) {
        // Must come first: the listener of problems may call `reopen`, which writes again.
        this.#retryLater(isBusy(error) ? BUSY_RETRY_MS : RETRY_MS);
        if (!isBusy(error)) this.#trouble("write", error);
        return;
      }
      this.#written += bytes;
      if (this.#written < length) {
        // The next write reports the reason.
        this.#state = "writing";
        this.#write(fd);
        return;
      }
      if (this.#isMemory(this.#chunk)) this.#memoryIsUsed = false;
      this.#chunk = null;
      this.#reported.write = false;
      if (this.#waiting.length === 0) this.#lost.report(this.onLost);
      this.#advance();
    });
  }

  #mustCheckPath(): boolean {
    if (this.#path === null || performance.now() - this.#checkedAtMs < CHECK_MS) return false;
    // If a part of a line is in this file, the rest must follow there.
    return this.#chunk === null;
  }

  #checkPath(): void {
    this.#checkedAtMs = performance.now();
    // The path is not `null`: this is never called for a descriptor.
    stat(this.#path ?? "", { bigint: true }, (error, stats) => {
      this.#state = "idle";
      if (error === null && this.#identity !== identityOf(stats)) this.#reopens = true;
      this.#advance();
    });
  }

  /** Opens the path. If that fails, keeps the open file. */
  #open(): void {
    if (this.#path === null) return;
    this.#reopens = false;
    this.#checkedAtMs = performance.now();
    let fd: number;
    try {
      fd = openLogFile(this.#path);
    } catch (error) {
      this.#trouble("open", error);
      return;
    }
    // `open-destination.ts` gives the reason for big integers.
    this.#identity = identityOf(fstatSync(fd, { bigint: true }));
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = fd;
    this.#reported.open = false;
    this.#startLineAnew();
  }

  /** Starts the present line again in the new file, if a full disk took only a part of it in the previous file. */
  #startLineAnew(): void {
    if (this.#chunk === null || this.#written === 0) return;
    this.#written = this.#chunk.lastIndexOf(0x0a, this.#written - 1) + 1;
  }

  #retryLater(afterMs: number): void {
    this.#state = "stuck";
    this.#retryTimer = setTimeout(() => this.#retry(), afterMs).unref();
  }

  #retry(): void {
    if (this.#state === "stuck") {
      clearTimeout(this.#retryTimer);
      this.#state = "idle";
    }
    this.#advance();
  }

  #trouble(doing: "open" | "write", error: unknown): void {
    if (this.#reported[doing]) return;
    this.#reported[doing] = true;
    const reason = error instanceof Error ? error.message : String(error);
    this.#report(`Cannot ${doing} the log ${this.#path ?? ""}: ${reason}; the server keeps trying`);
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EAGAIN";
}

function identityOf({ dev, ino }: BigIntStats): string {
  return `${dev}:${ino}`;
}
