/* oxlint-disable no-underscore-dangle -- Node names the methods that make a stream in this way. */
import type { Socket } from "node:net";

/**
 * Keeps a failed write from closing a socket before its reader has read the answer of the peer.
 *
 * An upstream may refuse a request before it read the body: it answers and closes. The next write then fails, and Node
 * would destroy the socket with the answer unread. The read that follows gets the answer and, behind it, the end of the
 * connection or its reset, which closes the socket as usual.
 */
export function delayWriteErrors(socket: Socket): void {
  const write = socket._write.bind(socket);
  const writev = socket._writev?.bind(socket);
  socket._write = (chunk, encoding, done) => write(chunk, encoding, withoutReset(done));
  if (writev !== undefined) socket._writev = (chunks, done) => writev(chunks, withoutReset(done));
}

type Done = (error?: Error | null) => void;

/** A write that the reset ends never calls back: the reader of the socket finds the reset, and closes it. */
function withoutReset(done: Done): Done {
  return (error) => {
    if (error === null || error === undefined || !isReset(error)) done(error);
  };
}

function isReset(error: Error): boolean {
  return "code" in error && (error.code === "EPIPE" || error.code === "ECONNRESET");
}
