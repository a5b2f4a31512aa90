import { readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "../log/log.ts";
import type { BlockPool } from "./block-pool.ts";
import { ByteBudget } from "./byte-budget.ts";
import { isMissing, SPOOL_FILE_PREFIX } from "./nameless-file.ts";
import { SpoolFile } from "./spool-file.ts";

export interface SpoolOptions {
  /** Absolute path. Created on demand. */
  dir: string;
  /** Bytes that all files may hold together. */
  limitBytes: number;
  /** See `Spool.maxFiles`. */
  maxFiles: number;
  /** Memory for bodies that do not wait on disk. */
  blocks: BlockPool;
  log: Logger;
}

/**
 * The content of a file: a whole request body, response bytes that a client did not take, or request bytes that arrived
 * faster than the client could be paused.
 */
export type SpoolKind = "request" | "response" | "burst";

/** Least time between warnings: a limit that is reached refuses many bodies at once. */
const WARN_EVERY_MS = 10_000;

/**
 * Anonymous files for bodies that are too large for memory, with a shared limit of bytes and files.
 *
 * Responses may use half of the limits only. A response without room waits in its worker, but a request without room is
 * refused: slow readers of endless responses must not make the server refuse requests.
 */
export class Spool {
  /** Most open files. Each takes a descriptor that connections need too. May change. */
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

  /** Memory for bytes that do not wait on disk. */
  get blocks(): BlockPool {
    return this.#options.blocks;
  }

  /** Files and bytes in use. */
  get usage(): { files: number; heldBytes: number } {
    return { files: this.#files, heldBytes: this.#budget.heldBytes };
  }

  /** Opens a file, which the caller must close. Returns `null` when the limit of files is reached. */
  open(kind: SpoolKind): SpoolFile | null {
    const { maxFiles } = this;
    const { dir, limitBytes } = this.#options;
    const share = kind === "response" ? 1 / 2 : 1;
    if (this.#files >= maxFiles * share) {
      this.#warn(kind, 'cannot spool more bodies: too few files may be open (raise "ulimit -n")', {
        maxFiles,
      });
      return null;
    }
    this.#files++;
    const leaveBytes = limitBytes * (1 - share);
    return new SpoolFile({
      dir,
      reserve: (bytes) => {
        if (this.#budget.take(bytes, leaveBytes)) return true;
        this.#warn(kind, "cannot spool more bodies: the spool is full", {
          setting: "spoolLimit",
          limitBytes,
        });
        return false;
      },
      onReleased: (bytes) => {
        this.#files--;
        this.#budget.give(bytes);
      },
    });
  }

  /**
   * Removes files of a process that was killed between creating a file and unlinking it. This does not disturb another
   * process between these two steps.
   */
  async clean(): Promise<void> {
    const { dir } = this.#options;
    const names = await readdir(dir).catch(ignoreMissing);
    const left = (names ?? []).filter((name) => name.startsWith(SPOOL_FILE_PREFIX));
    await Promise.all(left.map((name) => unlink(join(dir, name)).catch(ignoreMissing)));
  }

  #warn(kind: SpoolKind, message: string, fields: Readonly<Record<string, unknown>>): void {
    // Bytes of a burst stay in memory instead.
    if (kind === "burst") return;
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
