/** The pool of every handler whose config names no other. */
export const DEFAULT_POOL = "default";

/** The rule for a pool's name, in words: ends the sentence "found x, expected ...". */
export const POOL_NAME_EXPECTED = 'a name such as "reports" in lower-case letters, digits and "-"';

/** Whether a pool may be called so. */
export function isPoolName(name: string): boolean {
  return POOL_NAME.test(name);
}

/** As a regular expression, for schemas. */
export const POOL_NAME = /^[a-z][a-z0-9-]{0,62}$/;
