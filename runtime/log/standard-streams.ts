import { Writable } from "node:stream";
import type { Logger } from "./log.ts";
import { openStandardStream } from "./open-destination.ts";
import type { LogDestination } from "./destination.ts";

/** Standard output and standard error of this process after `guardStandardStreams`. */
export interface StandardStreams {
  /**
   * Called with the stream and the number of lines that it lost, once it accepts lines again. There is one listener.
   */
  onLost: ((name: string, lines: number) => void) | null;
}

/**
 * Keeps this process running when a reader of its standard output or standard error stalls or leaves.
 *
 * Node writes to a pipe synchronously, so a stalled reader would block the process at a handler's `console.log`. A
 * reader that is gone would end the process, because Node reports EPIPE as an unhandled event. Pipes and sockets are
 * therefore written like logs: without waiting, up to a bound, and with lines dropped beyond it. Terminals and files
 * keep Node's own streams.
 *
 * Must be called before anything is printed.
 */
export function guardStandardStreams(): StandardStreams {
  const streams: StandardStreams = { onLost: null };
  guard("stdout", 1, (lines) => streams.onLost?.("standard output", lines));
  guard("stderr", 2, (lines) => streams.onLost?.("standard error", lines));
  return streams;
}

/** Makes the log report how many printed lines were lost. */
export function tellLostOutput(log: Logger, streams: StandardStreams): void {
  streams.onLost = (name, lines) =>
    log.warn({ lines }, `lines of ${name} were lost: their reader was too slow or gone`);
}

function guard(name: "stdout" | "stderr", fd: number, onLost: (lines: number) => void): void {
  const getter = getterOf(name);
  // Node's own getter, which exists for each of the two streams.
  const native = (): Writable => Reflect.apply(getter, process, []) as Writable;
  let stream: Writable | null = null;
  Object.defineProperty(process, name, {
    configurable: true,
    enumerable: true,
    get(): unknown {
      // Opens the stream at its first use, like Node.
      stream ??= open();
      return stream;
    },
  });

  function open(): Writable {
    let socket: Writable | null = null;
    const destination = openStandardStream(fd, () => (socket = native()));
    if (destination !== null) {
      destination.onLost = onLost;
      // The log switches the mode of the same socket through its handle.
      const { _handle } = (socket ?? {}) as { _handle?: unknown };
      return Object.assign(createWritable(destination), { fd, _handle });
    }
    // If a terminal was hung up or a disk is full, the lines are lost.
    return native().on("error", ignore);
  }
}

function createWritable(destination: LogDestination): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, callback): void {
      destination.write(chunk);
      callback();
    },
    // Like Node's own streams, neither `end()` nor `destroy()` closes it for others. Later lines are still written.
    destroy(this: Writable & { _undestroy?: () => void }, _error, callback): void {
      callback(null);
      // Node's types lack this method. Node calls it for its own standard streams.
      this._undestroy?.();
    },
  }).on("error", ignore);
}

function getterOf(name: "stdout" | "stderr"): () => unknown {
  const getter: unknown = Reflect.get(Object.getOwnPropertyDescriptor(process, name) ?? {}, "get");
  if (typeof getter === "function") return getter as () => unknown; // getters take nothing
  throw new TypeError(`this process has no ${name}`);
}

function ignore(): void {}
