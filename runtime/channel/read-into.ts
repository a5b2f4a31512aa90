import { Socket } from "node:net";

/** The memory for a socket's bytes. */
export interface ReadTarget {
  /** Returns the memory for the next read, at least one byte. */
  space: () => Uint8Array;
  /** Called with the number of bytes that were read into it. */
  filled: (bytes: number) => void;
}

/**
 * Reads a socket into the caller's memory instead of a new buffer for each read.
 *
 * Node offers this (`onread`) only for sockets that the program creates. The end of a pipe to a child comes from Node,
 * so its handle moves to a new socket. Handles are undocumented. If a handle is not as in Node 20 and 22, or if the
 * socket has none or has read something already, the bytes are copied.
 *
 * @returns The socket to use from now on. The given socket is closed, as far as its users can see.
 */
export function readInto(socket: Socket, { space, filled }: ReadTarget): Socket {
  const handle = takeHandle(socket);
  if (handle === null) {
    socket.on("data", (bytes: Buffer) => {
      for (let at = 0; at < bytes.length;) {
        const target = space();
        const copied = bytes.copy(target, 0, at);
        at += copied;
        filled(copied);
      }
    });
    return socket;
  }
  // The types know neither option.
  const options: object = {
    handle,
    onread: {
      buffer: space,
      callback: (bytes: number) => {
        filled(bytes);
        return true;
      },
    },
  };
  const reader = new Socket(options);
  // There is nothing to read from this stream, but without this call it would not end.
  reader.resume();
  return reader;
}

/** Undocumented property of sockets. */
const HANDLE = "_handle";

/** @returns `null` when the socket has no suitable handle. */
function takeHandle(socket: Socket): object | null {
  const holder = socket as Socket & { [HANDLE]?: unknown };
  const handle = holder[HANDLE];
  if (typeof handle !== "object" || handle === null || socket.readableLength > 0) return null;
  if (!("useUserBuffer" in handle) || typeof handle.useUserBuffer !== "function") return null;
  holder[HANDLE] = null;
  socket.destroy();
  return handle;
}
