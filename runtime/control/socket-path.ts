import { closeSync, openSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { RuntimeError } from "../lib/errors.ts";

/** Most bytes that the path of a Unix socket may have on Linux: `sun_path` has 108, the last one is zero. */
export const MAX_SOCKET_PATH_BYTES = 107;

/** Where a running server takes commands: a file of its state folder. */
export function toControlSocket(stateDir: string): string {
  return join(stateDir, "control.sock");
}

/** A path that fits into a socket's address. */
export interface FittingPath {
  path: string;
  /** It may not be used any more from then on. Idempotent. */
  release: () => void;
}

/**
 * Makes a path short enough for `bind` and `connect`.
 *
 * One that is too long goes by way of its open folder, `/proc/self/fd/7/control.sock`: the file stays where everybody
 * looks for it, which a second place for long paths would not give.
 *
 * @throws RuntimeError `ERR_LISTEN` when it is too long and the system has no `/proc`; the error of `node:fs` when
 *   there is no such folder.
 */
export function fitSocketPath(path: string): FittingPath {
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return { path, release: () => {} };
  if (process.platform !== "linux") {
    throw new RuntimeError(
      "ERR_LISTEN",
      `Cannot use ${path} as a socket: it has ${Buffer.byteLength(path)} bytes, ` +
        `expected at most ${MAX_SOCKET_PATH_BYTES} (name a folder with a shorter path with --state-dir DIR)`,
    );
  }
  let folder: number | null = openSync(dirname(path), "r");
  return {
    path: `/proc/self/fd/${folder}/${basename(path)}`,
    release() {
      if (folder !== null) closeSync(folder);
      folder = null;
    },
  };
}
