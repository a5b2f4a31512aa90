import { Connection, formatHead, toEndpoint } from "../../runtime/drill/connection.ts";
import type { LongClient } from "./main.ts";

export interface IdleTask {
  readonly url: string;
  readonly connections: number;
}

/** Connections opened at once: more would fill the server's accept queue. */
const BATCH = 100;

/**
 * Opens connections and gets one answer on each: a server may keep more memory for those than for silent ones.
 *
 * Reports how many are still open.
 *
 * @throws Error when one cannot be opened, or is not answered 200.
 */
export async function openIdle({ url, connections }: IdleTask): Promise<LongClient<number>> {
  const opened: Connection[] = [];
  while (opened.length < connections) {
    const count = Math.min(BATCH, connections - opened.length);
    opened.push(...(await Promise.all(Array.from({ length: count }, () => openOne(url)))));
  }
  return {
    report: () => opened.filter(({ closed }) => !closed).length,
    // They end with this process.
    stop: () => {},
  };
}

async function openOne(url: string): Promise<Connection> {
  const connection = await Connection.open(toEndpoint(url));
  const { status } = await connection.ask(formatHead("GET", new URL(url).pathname));
  if (status !== 200) throw new Error(`status ${status}, expected 200`);
  return connection;
}
