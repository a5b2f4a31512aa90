import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";

/**
 * Waits until a check passes, for states that nothing tells of. Ends with the test, whose timeout is the only clock.
 *
 * @throws What the check throws.
 */
export async function eventually(
  t: TestContext,
  check: () => boolean | Promise<boolean>,
): Promise<void> {
  while (!(await check())) await delay(10, undefined, { signal: t.signal });
}
