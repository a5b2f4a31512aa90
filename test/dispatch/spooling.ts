import assert from "node:assert/strict";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import pino from "pino";
import { BlockPool } from "../../runtime/bodies/block-pool.ts";
import { Spool, type SpoolOptions } from "../../runtime/bodies/spool.ts";
import { openFilesOf } from "../helpers/proc.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const log = pino({ level: "silent" });

/** For tests in which nothing goes to disk: a spool without any room. */
export const NO_SPOOL: Spool = new Spool({
  dir: "/nonexistent",
  limitBytes: 0,
  maxFiles: 0,
  blocks: new BlockPool(),
  log,
});

/** A spool in a folder of its own, which does not exist yet, and the number of its files that this process has open. */
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

/** Longest wait for a disk, on a busy machine. */
const PATIENCE_MS = 60_000;

/**
 * Checks once in each turn of the event loop until a check passes. Waits for a disk take few turns.
 *
 * @throws AssertionError after the timeout.
 */
export async function untilTurn(check: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  while (!check()) {
    assert.ok(performance.now() < deadlineMs, `never came true: ${String(check)}`);
    await nextTurn();
  }
}
