import { closeSync, fstatSync, openSync } from "node:fs";
import type { LogDestination } from "./destination.ts";
import { openFileDestination } from "./file-destination.ts";
import { openPipeDestination } from "./pipe-destination.ts";

/**
 * Opens a log destination.
 *
 * @param target A descriptor (2 is standard error), or the path of a file to append to.
 * @throws The error of `node:fs` if the file cannot be opened.
 */
export function openLogDestination(target: number | string): LogDestination {
  // SonicBoom opens it later, when it is too late to refuse to start.
  if (typeof target === "string") closeSync(openSync(target, "a"));
  const pipe = typeof target === "number" && isPipe(target) ? openPipeDestination(target) : null;
  return pipe ?? openFileDestination(target);
}

function isPipe(descriptor: number): boolean {
  try {
    // With numbers it would write to an array that Node 20's ESM loader reads a moment later, on the assumption that
    // only its own look at a path wrote there: symbolic links of packages would then not be followed.
    return fstatSync(descriptor, { bigint: true }).isFIFO();
  } catch {
    return false; // Closed: writing will say so.
  }
}
