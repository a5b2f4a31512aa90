import { Server } from "node:net";
import { describeError } from "./describe-error.ts";
import { locateError, toPlace } from "./error-location.ts";

/** Signals that a worker ignores: they are meant for the primary. */
export const IGNORED_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR2"] as const;

/** Deep enough to reach the handler below a package. */
const STACK_FRAMES = 50;

/** Notes listeners that have no effect, rejections without a handler and ports that are opened while modules load. */
export class BootNotes {
  readonly #warnings = new Set<string>();
  #source: string | null = null;

  readonly #listen: NodeListen;

  constructor() {
    process.on("newListener", this.#onListener);
    // The prototype's own method. It is called below with the object that it belongs to.
    const original = Reflect.get(Server.prototype, "listen") as NodeListen;
    const onListen = (address: unknown): void => this.#onListen(address);
    this.#listen = original;
    Server.prototype.listen = function listen(this: Server, ...args: unknown[]): Server {
      onListen(args[0]);
      return original.apply(this, args);
    };
  }

  /** One line each: `handlers/x.ts:12:3: message`. */
  get warnings(): string[] {
    return [...this.#warnings];
  }

  /** The worker loads this file from now on. */
  load(source: string): void {
    this.#source = source;
  }

  /** A promise was rejected, and nothing handles that. */
  onRejection(reason: unknown): void {
    const place = placeOf(reason) ?? this.#source ?? "a handler";
    const text = `a promise was rejected while the file loads, and nothing handles it: ${describeError(reason)}`;
    this.#warnings.add(`${place}: ${text}, expected it to be awaited or caught`);
  }

  /** Resolves once Node has reported the rejections of all code that has run. */
  async settle(): Promise<void> {
    // Node tells of them when the microtasks of a turn are done.
    await new Promise((resolve) => setImmediate(resolve));
    process.off("newListener", this.#onListener);
    Server.prototype.listen = this.#listen;
  }

  /** `node:cluster` lets the primary open the port, past everything that this server does. */
  #onListen(address: unknown): void {
    const place = ownPlace();
    if (place === null) return;
    const port: unknown =
      typeof address === "object" && address !== null ? Reflect.get(address, "port") : address;
    const name = typeof port === "number" || typeof port === "string" ? `port ${port}` : "a port";
    const text = `opens ${name} by itself, which has no TLS, limits or log of this server`;
    this.#warnings.add(
      `${place}: ${text}. Leave listen() out, and export the application: "export default fromNode(app)"`,
    );
  }

  readonly #onListener = (event: string | symbol): void => {
    if (!IGNORED_SIGNALS.some((signal) => signal === event)) return;
    const place = ownPlace();
    if (place === null) return;
    const text = `listens for ${String(event)}, which does not reach workers: the primary drains and ends them`;
    this.#warnings.add(
      `${place}: ${text}. Export a function dispose() from a handler module instead`,
    );
  };
}

type NodeListen = (this: Server, ...args: unknown[]) => Server;

/** The line of the project that is running. `null`: a package runs by itself, which is not the developer's to change. */
function ownPlace(): string | null {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = STACK_FRAMES;
  const place = placeOf(new Error("here"));
  Error.stackTraceLimit = stackTraceLimit;
  return place;
}

function placeOf(error: unknown): string | null {
  const position = locateError(error);
  return position === null ? null : toPlace(position);
}
