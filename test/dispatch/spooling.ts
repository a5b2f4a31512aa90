import assert from "node:assert/strict";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import pino from "pino";
import { BlockPool } from "../../runtime/dispatch/block-pool.ts";
import { Spool, type SpoolOptions } from "../../runtime/dispatch/spool.ts";
import { openFilesOf } from "../helpers/proc.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const log = pino({ level: "silent" });

/** For tests in which nothing goes to disk: it has no room at all. */
export const NO_SPOOL: Spool = new Spool({
  dir: "/nonexistent",
  limitBytes: 0,
  maxFiles: 0,
  blocks: new BlockPool(),
  log,
});

/** A spool in a folder of its own, which is not there yet, and how many files of it this process has open. */
export function createSpool(
  t: TestContext,
  options: Partial<SpoolOptions> = {},
): { spool: Spool; dir: string; openFiles: () => number } {
  const dir = join(temporaryFolder(t), "state/spool");
  const spool = new Spool({
    dir,
    limitBytes: 1024 ** 3,
    maxFiles: 100,
    blocks: new BlockPool(),
    log,
    ...options,
  });
  const openFiles = (): number =>
    openFilesOf(process.pid).filter((path) => path.startsWith(dir)).length;
  return { spool, dir, openFiles };
}

/** Longest that anything here waits for a disk, on a machine that has much else to do. */
const PATIENCE_MS = 15_000;

/**
 * Looks once in each turn of the loop until a check passes: what waits for a disk takes few.
 *
 * @throws AssertionError when it does not in time.
 */
export async function untilTurn(check: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  while (!check()) {
    assert.ok(performance.now() < deadlineMs, `never came true: ${String(check)}`);
    await nextTurn();
  }
}
