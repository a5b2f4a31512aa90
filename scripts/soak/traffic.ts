import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Owner } from "../../test/helpers/temporary-folder.ts";
import type { Endpoint } from "../../runtime/drill/connection.ts";
import { summarize, type LatencySummary } from "../../runtime/drill/latencies.ts";
import type { Figure } from "./soak.ts";

/** The settings of the traffic. */
export interface TrafficTask {
  readonly endpoint: Endpoint;
  readonly connections: number;
  readonly requestsPerSecond: number;
  /** Each request has a connection of its own; otherwise connections are kept alive. */
  readonly fresh?: boolean;
}

/** The results since the last call. */
export interface TrafficReport {
  readonly latenciesMs: readonly number[];
  /** Descriptions of requests without a correct answer. */
  readonly losses: readonly string[];
}

export type TrafficOrder = "cut" | "stop";

/**
 * Normal traffic: kept-alive connections that send at a steady rate, whether answers come or not, so that a stalled
 * server gets no smaller load. Runs in a process of its own, which other clients do not delay.
 */
export class Traffic {
  readonly #child: ChildProcess;
  readonly losses: string[] = [];
  #answered = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(owner: Owner, task: TrafficTask): Promise<Traffic> {
    const child = fork(fileURLToPath(new URL("../clients/traffic.ts", import.meta.url)), [
      JSON.stringify(task),
    ]);
    owner.after(() => void child.kill("SIGKILL"));
    const traffic = new Traffic(child);
    // The child sends this when all connections are open.
    await traffic.#answer();
    return traffic;
  }

  /** How many requests were answered so far. */
  get answered(): number {
    return this.#answered;
  }

  /** Returns the results since the last call, and begins a new count. */
  async cut(): Promise<LatencySummary> {
    return summarize((await this.#ask("cut")).latenciesMs);
  }

  /** Waits for the last answers and ends the child. */
  async stop(): Promise<void> {
    const exited = once(this.#child, "exit");
    await this.#ask("stop");
    await exited;
  }

  async #ask(order: TrafficOrder): Promise<TrafficReport> {
    const answer = this.#answer();
    this.#child.send(order);
    const report = await answer;
    this.losses.push(...report.losses);
    this.#answered += report.latenciesMs.length;
    return report;
  }

  async #answer(): Promise<TrafficReport> {
    const ended = new AbortController();
    const exited = once(this.#child, "exit", { signal: ended.signal }).then(() => {
      throw new Error("the normal traffic ended by itself");
    });
    try {
      const message = once(this.#child, "message", { signal: ended.signal });
      const [report] = (await Promise.race([message, exited])) as [TrafficReport];
      return report; // Sent by `traffic-child.ts`.
    } finally {
      ended.abort();
      exited.catch(() => undefined);
    }
  }
}

/** A figure for lost requests: none may be lost. */
export function checkLosses({ losses }: Pick<Traffic, "losses">): Figure {
  const figure = { name: "normal requests lost", value: String(losses.length), bound: "0" };
  const [first] = losses;
  return first === undefined
    ? figure
    : { ...figure, breach: `${losses.length} lost, the first: ${first}` };
}
