/**
 * Imports a module whose name is known only at run time. The compiled program is no ES module and gets this function from
 * its entry (`scripts/build.mjs`).
 */
export function importModule(specifier: string): Promise<unknown> {
  return import(specifier);
}
