import type { Endpoint } from "../../runtime/drill/connection.ts";
import { summarize, type LatencySummary } from "../../runtime/drill/latencies.ts";
import type { Owner } from "../../test/helpers/temporary-folder.ts";
import { ClientProcess, type Order } from "../clients/client-process.ts";
import type { TrafficTask } from "../clients/traffic.ts";

/**
 * Normal traffic (`../clients/traffic.ts`): requests at a steady rate, whether answers come or not, so that a stalled
 * server gets no smaller load.
 */
export class Traffic {
  readonly losses: string[] = [];
  readonly #client: ClientProcess<"traffic">;
  #answered = 0;

  private constructor(client: ClientProcess<"traffic">) {
    this.#client = client;
  }

  /** Resolves when all connections are open. */
  static async start(owner: Owner, task: TrafficTask): Promise<Traffic> {
    const client = new ClientProcess("traffic", task);
    owner.after(() => client.kill());
    await client.report();
    return new Traffic(client);
  }

  /** How many requests were answered so far. */
  get answered(): number {
    return this.#answered;
  }

  /** Returns the results since the last call, and begins a new count. The latencies are those of the worst way. */
  async cut(order: Order = "report"): Promise<LatencySummary> {
    const { latenciesMs, losses } = await this.#client.report(order);
    this.losses.push(...losses);
    const summaries = latenciesMs.map(summarize);
    const count = summaries.reduce((sum, each) => sum + each.count, 0);
    this.#answered += count;
    const [worst = summarize([])] = summaries.toSorted((a, b) => b.p99Ms - a.p99Ms);
    return { ...worst, count };
  }

  /** Waits for the last answers and ends the client. */
  async stop(): Promise<void> {
    await this.cut("stop");
  }
}

/** Connections of normal traffic. */
export const NORMAL_CONNECTIONS = 32;

/** 400 requests per second on 32 kept-alive connections. */
export function normalTraffic(endpoint: Endpoint): TrafficTask {
  return {
    ways: [{ endpoint, fresh: false, ready: NORMAL_CONNECTIONS, most: NORMAL_CONNECTIONS }],
    perSecond: 400,
  };
}
