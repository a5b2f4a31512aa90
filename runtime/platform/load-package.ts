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

/**
 * Creates a value that needs an optional package. `undefined`: the package is not installed, of which `tell` gets a message with
 * the remedy. `typeof` asks a global for its value, and must not throw.
 */
export function unlessMissing<Value>(
  create: () => Value,
  tell: (message: string) => void,
): Value | undefined {
  try {
    return create();
  } catch (error) {
    const cause = error instanceof RuntimeError ? error.cause : null;
    const isMissing = cause instanceof Error && "code" in cause && cause.code === MISSING;
    if (!isMissing || !(error instanceof RuntimeError)) throw error;
    tell(error.message);
    return undefined;
  }
}

const MISSING = "MODULE_NOT_FOUND";
