import type { Socket } from "node:net";

/** The part of a socket's handle that asks the kernel. `Socket.remoteAddress` has the answer of the first call for ever. */
interface PeerHandle {
  getpeername?: (out: object) => number;
}

/**
 * Tells whether a socket still has a peer. Node does not notice when a peer resets a connection that is not read.
 *
 * @returns True as well where Node does not tell.
 */
export function hasPeer(socket: Socket): boolean {
  // Node's types leave out the handle.
  const { _handle: handle } = socket as { _handle?: PeerHandle | null };
  return handle?.getpeername === undefined || handle.getpeername({}) === 0;
}
