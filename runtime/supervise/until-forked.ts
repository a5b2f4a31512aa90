import cluster from "node:cluster";
import { once } from "node:events";

/**
 * Resolves when the first worker is forked, or when the start ends without one. Rejects when the start fails before.
 *
 * @param starting Settles when all workers have started.
 */
export async function untilForked(starting: Promise<unknown>): Promise<void> {
  const waiting = new AbortController();
  try {
    await Promise.race([once(cluster, "fork", { signal: waiting.signal }), starting]);
  } finally {
    waiting.abort();
  }
}
