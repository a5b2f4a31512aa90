import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { LoadReport } from "../bench/load.ts";
import type { EchoTask } from "./echo.ts";
import type { EventsTask } from "./events.ts";
import type { AttackReport, AttackTask } from "./http2-attack.ts";
import type { IdleTask } from "./idle.ts";
import type { WebSocketsTask } from "./web-sockets.ts";
import type { TrafficReport, TrafficTask } from "./traffic.ts";

/** The kinds of clients. Each has a file of its name, a task that it gets, and reports that it sends. */
export interface ClientKinds {
  readonly echo: { readonly task: EchoTask; readonly report: LoadReport };
  readonly events: { readonly task: EventsTask; readonly report: LoadReport };
  readonly "http2-attack": { readonly task: AttackTask; readonly report: AttackReport };
  /** A report is the number of connections that are still open. */
  readonly idle: { readonly task: IdleTask; readonly report: number };
  readonly traffic: { readonly task: TrafficTask; readonly report: TrafficReport };
  readonly "web-sockets": { readonly task: WebSocketsTask; readonly report: LoadReport };
}

export type ClientKind = keyof ClientKinds;

/** Asks a client that goes on for another report. It ends after that of `stop`. */
export type Order = "report" | "stop";

export type FromClient =
  | { readonly ok: true; readonly report: unknown }
  | { readonly ok: false; readonly reason: string };

export interface ClientProcessOptions {
  /** Kills the client. */
  readonly signal?: AbortSignal;
  /** The client is killed when it lives for longer. */
  readonly timeoutMs?: number;
}

/**
 * A client in a process of its own (`main.ts`), as `wrk` is: its work neither delays the measurement nor counts for the
 * process that measures, and other clients do not delay it.
 */
export class ClientProcess<Kind extends ClientKind> {
  readonly #kind: Kind;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;

  constructor(
    kind: Kind,
    task: ClientKinds[Kind]["task"],
    { signal, timeoutMs }: ClientProcessOptions = {},
  ) {
    this.#kind = kind;
    this.#child = fork(join(import.meta.dirname, "main.ts"), [kind, JSON.stringify(task)], {
      killSignal: "SIGKILL",
      ...(signal === undefined ? {} : { signal }),
      ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
    });
    // The error of an abort. `report` throws one, too.
    this.#child.on("error", () => {});
    this.#exited = new Promise((resolve) => this.#child.once("exit", resolve));
  }

  /**
   * Returns the next report. Without an order, that is the one which the client sends by itself, once it is ready or done.
   *
   * @throws Error when the client fails, or ends without a report.
   */
  async report(order?: Order): Promise<ClientKinds[Kind]["report"]> {
    const ended = new AbortController();
    try {
      const message = once(this.#child, "message", { signal: ended.signal });
      const exited = this.#exited.then(() => [{ ok: false, reason: "it ended without a report" }]);
      if (order !== undefined) this.#child.send(order);
      const [said] = (await Promise.race([message, exited])) as [FromClient]; // `main.ts` sends no other messages.
      if (!said.ok) throw new Error(`the client of ${this.#kind} failed: ${said.reason}`);
      if (order === "stop") await this.#exited;
      return said.report as ClientKinds[Kind]["report"]; // Of the same kind in `main.ts`.
    } finally {
      ended.abort();
    }
  }

  /** Resolves when the process has ended: its CPU time then counts as that of a child that has ended. */
  async ended(): Promise<void> {
    await this.#exited;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

/** Runs a client that ends by itself, and returns its report. */
export async function runClient<Kind extends "echo" | "events" | "web-sockets">(
  kind: Kind,
  task: ClientKinds[Kind]["task"],
  options: ClientProcessOptions,
): Promise<LoadReport> {
  const client = new ClientProcess(kind, task, options);
  const report = await client.report();
  await client.ended();
  return report;
}
