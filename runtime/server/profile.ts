import type { ProfileEvent, ProfileRequest } from "../control/profiling.ts";
import { MOST_SECONDS } from "../control/profiling.ts";
import type { HandlerPool } from "../handlers/handler-pool.ts";
import { RuntimeError } from "../lib/errors.ts";
import { canInspectWorkers } from "../supervise/fork-worker.ts";

/** Longest profile of a worker: its heartbeat is off meanwhile. */
const LONGEST_MS = (MOST_SECONDS + 60) * 1_000;

/**
 * Lets the client of the control socket profile a worker, until the signal aborts, the worker ends, or the time for a profile is
 * over.
 *
 * @throws RuntimeError `ERR_CONFIG` when there is no such worker, or it cannot be profiled; `ERR_OVERLOADED` when it does not open its
 *   inspector.
 */
export async function* profileWorker(
  pools: readonly HandlerPool[],
  { target, kind }: Pick<ProfileRequest, "kind"> & { target: number },
  signal: AbortSignal,
): AsyncGenerator<ProfileEvent> {
  const { pool, id, pid } = find(pools, target);
  const lease = await pool.leaseInspector(id, { standsStill: kind === "heap" });
  const over = AbortSignal.any([signal, lease.ended, AbortSignal.timeout(LONGEST_MS)]);
  try {
    const process = `worker ${id} of pool ${pool.plan.name}`;
    yield { type: "begun", process, pid, inspectorUrl: lease.url };
    if (!over.aborted) {
      await new Promise((resolve) => {
        over.addEventListener("abort", resolve, { once: true });
      });
    }
  } finally {
    await lease.end();
  }
}

function find(
  pools: readonly HandlerPool[],
  target: number,
): { pool: HandlerPool; id: number; pid: number } {
  const workers = pools.flatMap((pool) =>
    pool.workers.map(({ id, pid, state }) => ({ pool, id, pid, state })),
  );
  const found =
    workers.find(({ id }) => id === target) ?? workers.find(({ pid }) => pid === target);
  if (found === undefined) {
    const known = workers.map(({ id, pid }) => `${id} (process ${pid})`).join(", ");
    throw new RuntimeError(
      "ERR_CONFIG",
      `Cannot profile worker ${target}: found no such worker, expected ${known === "" ? "primary" : `${known} or primary`}`,
    );
  }
  const { pool, id, pid, state } = found;
  if (pool.plan.app !== null) {
    throw new RuntimeError(
      "ERR_CONFIG",
      `Cannot profile worker ${id}: it runs Python, expected JavaScript handlers ` +
        `("py-spy record --pid ${pid} --output profile.svg" profiles it, "py-spy dump --pid ${pid}" shows its stacks)`,
    );
  }
  if (!canInspectWorkers()) {
    throw new RuntimeError(
      "ERR_CONFIG",
      `Cannot profile worker ${id}: its inspector cannot be opened, expected Linux, and no --inspect or --disable-sigusr1 among the options of Node`,
    );
  }
  if (state === "starting" || state === "exited") {
    throw new RuntimeError(
      "ERR_CONFIG",
      `Cannot profile worker ${id}: it is ${state}, expected ready`,
    );
  }
  return { pool, id, pid };
}
