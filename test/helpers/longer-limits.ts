/** Time limits of a server, shortest first. */
const LIMITS = ["1s", "5s", "30s"];

/**
 * Runs something that comes to the end of a time limit of the server. A slow machine may reach the limit before the
 * server comes to the point that a test is about. A run that lacks it is then repeated with a longer limit.
 *
 * @param isReached Tells whether a run came to that point.
 * @returns The first run that did, or the one with the longest limit.
 */
export async function withLongerLimits<T>(
  run: (limit: string) => Promise<T>,
  isReached: (outcome: T) => boolean,
): Promise<T> {
  const [first = "", ...longer] = LIMITS;
  let outcome = await run(first);
  for (const limit of longer) {
    if (isReached(outcome)) break;
    // oxlint-disable-next-line no-await-in-loop -- Each run depends on the one before.
    outcome = await run(limit);
  }
  return outcome;
}
