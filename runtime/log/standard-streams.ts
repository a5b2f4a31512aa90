import { Writable } from "node:stream";
import type { Logger } from "./log.ts";
import { openStandardStream } from "./open-destination.ts";
import type { StreamDestination } from "./stream-destination.ts";

/** Standard output and standard error of this process, once guarded. */
export interface StandardStreams {
  /** Called with how many lines of which stream were lost, once lines are taken again. One listener. */
  onLost: ((name: string, lines: number) => void) | null;
}

/**
 * Keeps this process alive when a reader of its standard output or standard error pauses or leaves.
 *
 * Node writes to a pipe and waits: a reader that has stopped reading would stop the process with a `console.log` of a
 * handler. A reader that is gone would end it: Node reports EPIPE as an event that nothing listens to. So pipes and sockets
 * are written as logs are: without waiting, up to a bound, and lost where nothing takes it. Terminals and files stay Node's.
 *
 * Call it before anything is printed.
 */
export function guardStandardStreams(): StandardStreams {
  const streams: StandardStreams = { onLost: null };
  guard("stdout", 1, (lines) => streams.onLost?.("standard output", lines));
  guard("stderr", 2, (lines) => streams.onLost?.("standard error", lines));
  return streams;
}

/** Has the log say how many printed lines were lost. */
export function tellLostOutput(log: Logger, streams: StandardStreams): void {
  streams.onLost = (name, lines) =>
    log.warn({ lines }, `lines of ${name} were lost: nothing took them`);
}

function guard(name: "stdout" | "stderr", fd: number, onLost: (lines: number) => void): void {
  const getter = getterOf(name);
  // The getter of Node, which has one for each of them.
  const native = (): Writable => Reflect.apply(getter, process, []) as Writable;
  let stream: Writable | null = null;
  Object.defineProperty(process, name, {
    configurable: true,
    enumerable: true,
    get(): unknown {
      // Node makes its own when it is first asked, and so does this.
      stream ??= open();
      return stream;
    },
  });

  function open(): Writable {
    let socket: Writable | null = null;
    const destination = openStandardStream(fd, () => (socket = native()));
    if (destination !== null) {
      destination.onLost = onLost;
      // The log sets the mode of the same socket by its handle.
      const { _handle } = (socket ?? {}) as { _handle?: unknown };
      return Object.assign(createWritable(destination), { fd, _handle });
    }
    // A terminal that was hung up, or a full disk, loses the lines.
    return native().on("error", ignore);
  }
}

function createWritable(destination: StreamDestination): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, callback): void {
      destination.write(chunk);
      callback();
    },
    // As Node's own: neither `end()` nor `destroy()` closes it for others. Later lines are written.
    destroy(this: Writable & { _undestroy?: () => void }, _error, callback): void {
      callback(null);
      // The types lack it. Node calls it for its own standard streams.
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
