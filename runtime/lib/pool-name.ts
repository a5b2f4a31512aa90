/** Name of the pool for handlers whose config names none. */
export const DEFAULT_POOL = "default";

/** The rule for a pool's name, as the end of the sentence "found x, expected ...". */
export const POOL_NAME_EXPECTED = 'a name such as "reports" in lower-case letters, digits and "-"';

const POOL_NAME = /^[a-z][a-z0-9-]{0,62}$/;

/** Tells whether a pool may have this name. */
export function isPoolName(name: string): boolean {
  return POOL_NAME.test(name);
}
