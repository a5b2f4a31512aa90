import { closeSync, openSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { RuntimeError } from "../lib/errors.ts";

/** Most bytes that the path of a Unix socket may have on Linux: `sun_path` has 108, the last one is zero. */
export const MAX_SOCKET_PATH_BYTES = 107;

/** Returns the path of the socket on which a server takes commands, in its state folder. */
export function toControlSocket(stateDir: string): string {
  return join(stateDir, "control.sock");
}

/** A path that is short enough for the address of a socket. */
export interface FittingPath {
  path: string;
  /** Ends the use of the path. Idempotent. */
  release: () => void;
}

/**
 * Makes a path short enough for `bind` and `connect`.
 *
 * A longer path is replaced by one through its open folder, such as `/proc/self/fd/7/control.sock`. So the file stays in
 * the state folder, where commands look for it.
 *
 * @throws RuntimeError `ERR_LISTEN` when the path is too long and the system has no `/proc`; the error of `node:fs` when
 *   the folder does not exist.
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
