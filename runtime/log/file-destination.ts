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

/** Owner and group: access lines have addresses of persons. */
const FILE_MODE = 0o640;

/** Appends, so that processes share a file; not waiting for somebody to read, should it be a pipe. */
const OPEN_FLAGS =
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;

/** While nothing can be written. */
const RETRY_MS = 1_000;

/** Of a terminal or a pipe that takes nothing just now (EAGAIN). */
const BUSY_RETRY_MS = 20;

/** How often a file is looked for at its path, at most. */
const LOOK_MS = 100;

const CLOSE_POLL_MS = 5;

/**
 * Opens a file to append to, and makes it if there is none.
 *
 * @throws The error of `node:fs`.
 */
export function openLogFile(path: string): number {
  return openSync(path, OPEN_FLAGS, FILE_MODE);
}

/**
 * A file to append to: a path, or a descriptor that somebody else has opened. Writes on Node's thread pool, one write at
 * a time: a disk may take long.
 *
 *     idle ──write()──▶ writing ──all is taken──▶ idle
 *                        │   ▲
 *                  it fails  after 1 s, or reopen()
 *                        ▼   │
 *                       stuck
 *
 * Of a path: when the file has been renamed and another one is there, that one is opened, within a moment; so processes
 * that no signal reaches follow a rotation too (workers, the parent that an upgrade has left behind). `reopen()` does it at
 * once, and makes the file when there is none. Between two writes, so no line is in two files.
 *
 * A full disk, or a path that cannot be opened: said once to `tell`, and the lines wait as for a slow disk. What was written
 * of a line before the disk was full is completed later.
 */
export class FileDestination implements LogDestination {
  readonly atomicBytes = 64 * 1024;
  onLost: LogDestination["onLost"] = null;
  readonly #path: string | null;
  readonly #tell: (problem: string) => void;
  readonly #lost = new LostLines();
  readonly #flushAtExit = (): void => {
    this.#exiting = true;
    this.flushSync();
  };
  /** What the thread pool has not begun by now Node takes back, if the process ends by itself. */
  #exiting = false;
  #state: "idle" | "writing" | "stuck" = "idle";
  #fd: number | null = null;
  /** Which file is open: device and number. */
  #identity = "";
  #lookedAtMs = 0;
  /** Whether the path is to be opened anew before the next write. */
  #reopens = false;
  /** Whole lines. */
  #waiting = "";
  /** What is being written, and how much of it was. */
  #chunk: Buffer | null = null;
  #written = 0;
  #retryTimer: NodeJS.Timeout | undefined;
  /** Which trouble has been told, and is not over. */
  readonly #told = { open: false, write: false };
  #closed: Promise<void> | null = null;
  /** It was closed while something was written that nobody could wait for. */
  #endsWhenDone = false;

  /** Never throws: a path that cannot be opened is tried again. */
  constructor(target: number | string, tell: (problem: string) => void = () => {}) {
    this.#path = typeof target === "string" ? target : null;
    this.#tell = tell;
    if (typeof target === "number") this.#fd = target;
    else this.#open();
    process.on("exit", this.#flushAtExit);
  }

  get droppedLines(): number {
    return this.#lost.total;
  }

  write(lines: string): void {
    const waitingBytes = this.#waiting.length + (this.#chunk?.length ?? 0);
    if (this.#closed !== null || waitingBytes + lines.length > MAX_WAITING_BYTES) {
      this.#lost.add(lines);
      return;
    }
    this.#waiting += lines;
    if (!this.#exiting) this.#advance();
  }

  reopen(): void {
    if (this.#path === null || this.#closed !== null) return;
    this.#reopens = true;
    this.#retry();
  }

  flushSync(): void {
    // What is on its way in the thread pool is written before the process ends: Node waits for it.
    const rest = this.#state === "writing" ? null : this.#chunk?.subarray(this.#written);
    const bytes = Buffer.concat([rest ?? Buffer.alloc(0), Buffer.from(this.#waiting)]);
    this.#waiting = "";
    if (this.#state !== "writing") this.#chunk = null;
    if (bytes.length === 0) return;
    if (this.#fd === null) this.#open();
    const written = this.#fd === null ? 0 : this.#writeSync(this.#fd, bytes);
    if (written === bytes.length) return;
    this.#lost.add(bytes.toString("latin1", written));
    this.#tell(`Cannot write the log ${this.#path ?? ""}: ${this.droppedLines} lines are lost`);
  }

  /** @returns How many bytes were written. */
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
    // Else the thread pool is held up: what waits is written when it goes on, or when the process ends.
    if (this.#state !== "writing") this.#end();
    else this.#endsWhenDone = true;
  }

  #end(): void {
    process.off("exit", this.#flushAtExit);
    this.flushSync();
    if (this.#path !== null && this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  #advance(): void {
    if (this.#state !== "idle") return;
    if (this.#endsWhenDone) {
      this.#end();
      return;
    }
    if (this.#reopens || this.#fd === null) this.#open();
    if (this.#chunk === null && this.#waiting === "") return;
    if (this.#fd === null) {
      this.#retryLater(RETRY_MS);
      return;
    }
    this.#state = "writing";
    if (this.#isToLook()) this.#look();
    else this.#write(this.#fd);
  }

  #write(fd: number): void {
    if (this.#chunk === null) {
      this.#chunk = Buffer.from(this.#waiting);
      this.#waiting = "";
      this.#written = 0;
    }
    const { length } = this.#chunk;
    write(fd, this.#chunk, this.#written, length - this.#written, null, (error, bytes) => {
      this.#state = "idle";
      if (error !== null) {
        if (isBusy(error)) this.#retryLater(BUSY_RETRY_MS);
        else {
          this.#trouble("write", error);
          this.#retryLater(RETRY_MS);
        }
        return;
      }
      this.#written += bytes;
      if (this.#written < length) {
        // The next one says why.
        this.#state = "writing";
        this.#write(fd);
        return;
      }
      this.#chunk = null;
      this.#told.write = false;
      if (this.#waiting === "") this.#lost.tell(this.onLost);
      this.#advance();
    });
  }

  #isToLook(): boolean {
    if (this.#path === null || performance.now() - this.#lookedAtMs < LOOK_MS) return false;
    // Half a line is on disk: the other half belongs there too.
    return this.#chunk === null;
  }

  #look(): void {
    this.#lookedAtMs = performance.now();
    // Of a descriptor it is not called.
    stat(this.#path ?? "", { bigint: true }, (error, stats) => {
      this.#state = "idle";
      if (error === null && this.#identity !== identityOf(stats)) this.#reopens = true;
      this.#advance();
    });
  }

  /** Opens the path. When that fails, what is open stays open. */
  #open(): void {
    if (this.#path === null) return;
    this.#reopens = false;
    this.#lookedAtMs = performance.now();
    let fd: number;
    try {
      fd = openLogFile(this.#path);
    } catch (error) {
      this.#trouble("open", error);
      return;
    }
    // See `open-destination.ts` for why with big integers.
    this.#identity = identityOf(fstatSync(fd, { bigint: true }));
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = fd;
    this.#told.open = false;
    this.#startLineAnew();
  }

  /** The half of a line that a full disk has taken is in the file before: here begins the whole line. */
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
    if (this.#told[doing]) return;
    this.#told[doing] = true;
    const reason = error instanceof Error ? error.message : String(error);
    this.#tell(`Cannot ${doing} the log ${this.#path ?? ""}: ${reason}; will try again`);
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EAGAIN";
}

function identityOf({ dev, ino }: BigIntStats): string {
  return `${dev}:${ino}`;
}
