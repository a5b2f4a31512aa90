import { setTimeout as delay } from "node:timers/promises";

/**
 * Waits until a check passes, for states of the operating system that nothing tells of. The test's timeout ends it.
 *
 * @param check Throws or returns false as long as it is not so.
 */
export async function eventually(check: () => boolean): Promise<void> {
  while (!check()) await delay(10);
}
