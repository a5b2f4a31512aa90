import { Socket } from "node:net";

/** Where the bytes of a socket go. */
export interface ReadTarget {
  /** At least one byte. Asked for before each read. */
  space: () => Uint8Array;
  /** So many bytes are there. */
  filled: (bytes: number) => void;
}

/**
 * Reads a socket into memory of the caller's own, instead of a new buffer for each read.
 *
 * Node offers that for sockets that it makes (`onread`), not for the end of a pipe to a child that it hands out. So that
 * one's handle gets a socket of its own. Handles are not documented: where they are not what they are in Node 20 and 22, and
 * for a socket that has none, or that has read something already, the bytes are copied.
 *
 * @returns The socket to use from now on; the one that was given is closed, as far as others can see.
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
  // Its types know neither of the two.
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
  // Nothing is kept to be read, but it would not end otherwise.
  reader.resume();
  return reader;
}

/** What sockets have besides what is documented. */
const HANDLE = "_handle";

/** @returns `null`: it has none that can do it. */
function takeHandle(socket: Socket): object | null {
  const holder = socket as Socket & { [HANDLE]?: unknown };
  const handle = holder[HANDLE];
  if (typeof handle !== "object" || handle === null || socket.readableLength > 0) return null;
  if (!("useUserBuffer" in handle) || typeof handle.useUserBuffer !== "function") return null;
  holder[HANDLE] = null;
  socket.destroy();
  return handle;
}
