import { chmodSync, lstatSync, renameSync } from "node:fs";
import { once } from "node:events";
import type { Server } from "node:http";
import { connect } from "node:net";
import { fitSocketPath } from "../control/socket-path.ts";
import { inodeOf, removeFile } from "../control/socket-file.ts";

/** A bound socket in the file system. */
export interface BoundSocket {
  /** Removes the file, unless another server has replaced it. */
  remove: () => void;
}

/**
 * Binds a server to a socket that only the owner of this process may open (0600), in the place of one that is left of a dead
 * server. The file gets its final name when its mode is set; connections before that are closed.
 *
 * @param options.replaces Another server that lives may have the place: this one takes it.
 * @throws Error with the reason, when a file that is no socket or a server that lives has the place.
 */
export async function bindSocket(
  server: Server,
  path: string,
  { replaces }: { replaces: boolean },
): Promise<BoundSocket> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found !== undefined && !found.isSocket()) throw new Error(`${path} is there and no socket`);
  if (found !== undefined && !replaces && (await isAnswered(path))) {
    throw new Error("another server has the socket");
  }
  const ownPath = `${path}.${process.pid}`;
  removeFile(ownPath);
  let isPublished = false;
  server.on("connection", (socket) => {
    if (!isPublished) socket.destroy();
  });
  const fitting = fitSocketPath(ownPath);
  try {
    server.listen(fitting.path);
    await once(server, "listening");
  } finally {
    fitting.release();
  }
  try {
    chmodSync(ownPath, 0o600);
    renameSync(ownPath, path);
  } catch (error) {
    removeFile(ownPath);
    throw error;
  }
  isPublished = true;
  const inode = inodeOf(path);
  return {
    remove() {
      if (inode !== null && inodeOf(path) === inode) removeFile(path);
    },
  };
}

/** Tells whether a server listens on a socket. */
function isAnswered(path: string): Promise<boolean> {
  const fitting = fitSocketPath(path);
  return new Promise((resolve) => {
    const socket = connect(fitting.path);
    const end = (isThere: boolean): void => {
      socket.destroy();
      fitting.release();
      resolve(isThere);
    };
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });
}
