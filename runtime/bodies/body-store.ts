import { join } from "node:path";
import type { Logger } from "../log/log.ts";
import { BlockPool } from "./block-pool.ts";
import { ByteBudget } from "./byte-budget.ts";
import { Intakes } from "./intakes.ts";
import { Spool } from "./spool.ts";

/** Memory for all request bodies that are being gathered. Beyond it, the answer to a new one is 503. */
const BODY_BUDGET_BYTES = 256 * 1024 * 1024;

/** The memory and the disk for the bodies of all exchanges. */
export interface BodyStore {
  readonly blocks: BlockPool;
  readonly spool: Spool;
  readonly intakes: Intakes;
}

/**
 * Creates the memory and the disk for bodies. Nothing is on disk before a body needs it.
 *
 * @param options.stateDir Folder of the server's own files.
 * @param options.maxFiles See `Spool.maxFiles`.
 */
export function createBodyStore({
  stateDir,
  spoolLimitBytes: limitBytes,
  maxFiles,
  log,
}: {
  stateDir: string;
  spoolLimitBytes: number;
  maxFiles: number;
  log: Logger;
}): BodyStore {
  const blocks = new BlockPool();
  const spool = new Spool({ dir: join(stateDir, "spool"), limitBytes, maxFiles, blocks, log });
  return {
    blocks,
    spool,
    intakes: new Intakes({ budget: new ByteBudget(BODY_BUDGET_BYTES), spool }),
  };
}
