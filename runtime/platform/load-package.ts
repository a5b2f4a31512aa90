import { createRequire } from "node:module";
import { RuntimeError } from "../lib/errors.ts";

/**
 * Loads an optional package of this program, at once: a global that needs it has been used.
 *
 * @param name With the version that package.json pins: `undici@6.29.1`.
 * @param use The global, for messages.
 * @throws RuntimeError `ERR_HANDLER_LOAD` if it is not installed. The message names the command that installs it.
 */
export function loadPackage(name: string, use: string): object {
  const specifier = name.slice(0, name.lastIndexOf("@"));
  try {
    // Both packages have objects as exports.
    return createRequire(import.meta.url)(specifier) as object;
  } catch (error) {
    const text = `Cannot use ${use}: the package ${specifier} does not load, which an installation without optional packages leaves out. Run "npm install ${name}"`;
    throw new RuntimeError("ERR_HANDLER_LOAD", text, { cause: error });
  }
}
