import { readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "../log.ts";
import type { BlockPool } from "./block-pool.ts";
import { BurstQueue } from "./burst-queue.ts";
import { ByteBudget } from "./byte-budget.ts";
import { isMissing, SPOOL_FILE_PREFIX } from "./nameless-file.ts";
import { SpoolFile, type SpoolFileOptions } from "./spool-file.ts";

export interface SpoolOptions {
  /** Absolute. Made when it is needed. */
  dir: string;
  /** What all files may hold together. */
  limitBytes: number;
  /** See `Spool.maxFiles`. */
  maxFiles: number;
  /** Memory for what does not wait on the disk. */
  blocks: BlockPool;
  log: Logger;
}

/** A limit that is reached is reached for many at once: it is logged this often. */
const WARN_EVERY_MS = 10_000;

/**
 * Where bodies wait that are larger than memory shall hold: anonymous files, and what they may take together.
 *
 * Requests and responses share the limit, but responses leave half of it: a response that finds no room waits in its
 * worker, a request is turned away. One client that reads slowly what never ends must not turn others away.
 */
export class Spool {
  /** Most files at a time: each takes a descriptor, without which no connection could be accepted. May change. */
  maxFiles: number;
  readonly #options: SpoolOptions;
  readonly #budget: ByteBudget;
  #files = 0;
  #warnedMs = Number.NEGATIVE_INFINITY;

  constructor(options: SpoolOptions) {
    this.maxFiles = options.maxFiles;
    this.#options = options;
    this.#budget = new ByteBudget(options.limitBytes);
  }

  /** What is taken of the disk now. */
  get usage(): { files: number; heldBytes: number } {
    return { files: this.#files, heldBytes: this.#budget.heldBytes };
  }

  /** Opens a file; whoever asks for it closes it. `null`: there are as many as may be. */
  open(
    kind: "request" | "response",
    callbacks: Pick<SpoolFileOptions, "onWritten" | "onFailed">,
  ): SpoolFile | null {
    const { maxFiles } = this;
    const { dir, limitBytes } = this.#options;
    const share = kind === "response" ? 1 / 2 : 1;
    if (this.#files >= maxFiles * share) {
      this.#warn('more bodies to spool than files may be open for it (raise "ulimit -n")', {
        maxFiles,
      });
      return null;
    }
    this.#files++;
    const leaveBytes = limitBytes * (1 - share);
    return new SpoolFile({
      ...callbacks,
      dir,
      reserve: (bytes) => {
        if (this.#budget.take(bytes, leaveBytes)) return true;
        this.#warn("no room for more bodies", { setting: "spoolLimit", limitBytes });
        return false;
      },
      onReleased: (bytes) => {
        this.#files--;
        this.#budget.give(bytes);
      },
    });
  }

  /** A queue that memory holds so many bytes of; a burst on top goes to disk as long as there is room. */
  openBurstQueue(memoryBytes: number): BurstQueue {
    return new BurstQueue({
      dir: this.#options.dir,
      memoryBytes,
      blocks: this.#options.blocks,
      open: () => {
        if (this.#files >= this.maxFiles) return false;
        this.#files++;
        return true;
      },
      reserve: (bytes) => this.#budget.take(bytes),
      release: (bytes) => {
        this.#files--;
        this.#budget.give(bytes);
      },
    });
  }

  /**
   * Removes what a process left behind that was killed right between creating a file and taking its name away. Another
   * process that does just this now does not mind.
   */
  async clean(): Promise<void> {
    const { dir } = this.#options;
    const names = await readdir(dir).catch(ignoreMissing);
    const left = (names ?? []).filter((name) => name.startsWith(SPOOL_FILE_PREFIX));
    await Promise.all(left.map((name) => unlink(join(dir, name)).catch(ignoreMissing)));
  }

  #warn(message: string, fields: Readonly<Record<string, unknown>>): void {
    const nowMs = performance.now();
    if (nowMs - this.#warnedMs < WARN_EVERY_MS) return;
    this.#warnedMs = nowMs;
    this.#options.log.warn({ ...fields, ...this.usage }, message);
  }
}

function ignoreMissing(error: unknown): undefined {
  if (isMissing(error)) return undefined;
  throw error;
}
