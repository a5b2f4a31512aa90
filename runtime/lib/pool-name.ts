/** Name of the pool for handlers whose config names none. */
export const DEFAULT_POOL = "default";

/** The rule for a pool's name, as the end of the sentence "found x, expected ...". */
export const POOL_NAME_EXPECTED = 'a name such as "reports" in lower-case letters, digits and "-"';

const POOL_NAME = /^[a-z][a-z0-9-]{0,62}$/;

/** Tells whether a pool may have this name. */
export function isPoolName(name: string): boolean {
  return POOL_NAME.test(name);
}

/** Pool of the Python application for all paths. */
const APP_POOL = "app";

/**
 * Returns the pool of a Python application: `/api/v2` has the pool `app-api-v2`.
 *
 * @param taken Names that are in use. Receives the new one.
 */
export function toAppPool(mount: string, taken: Set<string>): string {
  const words = mount
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter(Boolean);
  const name = [APP_POOL, ...words].join("-").slice(0, 60);
  let unique = name;
  for (let number = 2; taken.has(unique); number++) unique = `${name}-${number}`;
  taken.add(unique);
  return unique;
}
