import { assertNever } from "../../runtime/lib/errors.ts";
import type { Case, LoadKind } from "./cases.ts";
import { ClientProcess, runClient } from "../clients/client-process.ts";
import type { Observed } from "./turn.ts";
import { runH2load } from "./h2load.ts";
import { runWrk, type WrkRun } from "./wrk.ts";

/** The results of a load generator. The kind of the load decides which latencies there are. */
export interface LoadReport {
  /** In the unit of the case. */
  readonly count: number;
  /** Units per second. */
  readonly rate: number;
  readonly p50Us?: number;
  readonly p99Us?: number;
  readonly badStatuses: number;
  readonly socketErrors: number;
}

/** Figures that only some kinds of load give. */
export interface ExtraFigures {
  /** Growth of the server's memory under the load, compared with the ready server; only for the echo. */
  readonly growthMiB?: number;
  /** Memory per idle connection in the processes that hold it, without the kernel's part. */
  readonly idleBytes?: number;
  /** The 99th percentile before the idle connections were opened, and with them as a multiple of it. */
  readonly quietP99Us?: number;
  readonly p99Times?: number;
}

/** A server that is ready for the load, and ways to measure it. */
export interface LoadTarget {
  readonly case: Case;
  readonly url: string;
  /** Path of `wrk`. */
  readonly wrk: string;
  /** Path of `h2load`; empty if the case does not need it. */
  readonly h2load: string;
  readonly connections: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly signal: AbortSignal;
  /** Runs the counted part of the load, and returns everything that was measured during it. */
  readonly observe: (run: () => Promise<LoadReport>) => Promise<Observed>;
  /** Memory of all processes of the server. */
  readonly readMemoryBytes: () => number;
  /** Memory of the processes that hold clients' connections. */
  readonly readClientsAtBytes: () => number;
}

/**
 * Warms the server up and loads it as its case asks.
 *
 * All processes that are started here have ended when the promise settles.
 */
export async function applyLoad(target: LoadTarget): Promise<Observed & ExtraFigures> {
  const { observe } = target;
  const { load } = target.case;
  switch (load.kind) {
    case "wrk":
      await runWrk(wrkRun(target, target.warmUpSeconds));
      return observe(() => runWrk(wrkRun(target, target.seconds)));
    case "h2load": {
      const { h2load: file, url, connections, signal } = target;
      const { streams } = load;
      const run = { file, url, streams, connections: Math.ceil(connections / streams), signal };
      await runH2load({ ...run, seconds: target.warmUpSeconds });
      return observe(() => runH2load({ ...run, seconds: target.seconds }));
    }
    case "echo":
      return applyEcho(target, load.sizeBytes);
    case "events": {
      const { url, warmUpSeconds, seconds, signal } = target;
      const task = { url, clients: load.clients, warmUpSeconds, seconds };
      const timeoutMs = (warmUpSeconds + seconds) * 1000 + GRACE_MS;
      return observe(() => runClient("events", task, { signal, timeoutMs }));
    }
    case "web-sockets": {
      const { url, warmUpSeconds, seconds, signal } = target;
      const { mode, clients } = load;
      const task = { url, mode, clients, warmUpSeconds, seconds };
      const timeoutMs = (warmUpSeconds + seconds) * 1000 + GRACE_MS;
      return observe(() => runClient("web-sockets", task, { signal, timeoutMs }));
    }
    case "idle":
      return applyIdle(target, load.connections);
    default:
      return assertNever(load);
  }
}

/** Connections of a load beside those of `wrk`. */
export function extraConnections(load: LoadKind): number {
  switch (load.kind) {
    case "wrk":
    case "h2load":
      return 0;
    case "echo":
      return 1;
    case "events":
    case "web-sockets":
      return load.clients;
    case "idle":
      return load.connections;
    default:
      return assertNever(load);
  }
}

async function applyEcho(target: LoadTarget, sizeBytes: number): Promise<Observed & ExtraFigures> {
  const { url, signal, observe } = target;
  const run = (bytes: number): Promise<LoadReport> =>
    runClient("echo", { url, sizeBytes: bytes }, { signal, timeoutMs: ECHO_TIMEOUT_MS });
  // Before the warm-up: memory that a server keeps from it is growth as well.
  const before = target.readMemoryBytes();
  await run(sizeBytes / WARM_UP_SHARE);
  const figures = await observe(() => run(sizeBytes));
  return { ...figures, growthMiB: (figures.peakMemoryBytes - before) / 1024 ** 2 };
}

async function applyIdle(
  target: LoadTarget,
  connections: number,
): Promise<Observed & ExtraFigures> {
  // With a longer load the server would close the idle connections too early.
  const seconds = Math.min(target.seconds, IDLE_SECONDS);
  const run = wrkRun(target, seconds);
  await runWrk(wrkRun(target, target.warmUpSeconds));
  const { p99Us: quietP99Us } = await runWrk(run);
  const before = target.readClientsAtBytes();
  const { url, signal } = target;
  const idle = new ClientProcess("idle", { url, connections }, { signal });
  try {
    const opened = await idle.report();
    if (opened < connections) throw new Error(`only ${opened} of ${connections} could be opened`);
    const idleBytes = (target.readClientsAtBytes() - before) / connections;
    const figures = await target.observe(() => runWrk(run));
    const left = await idle.report("stop");
    if (left < connections)
      throw new Error(`only ${left} of ${connections} idle connections were left after the load`);
    return { ...figures, idleBytes, quietP99Us, p99Times: (figures.p99Us ?? NaN) / quietP99Us };
  } finally {
    idle.kill();
    await idle.ended();
  }
}

/** A sixteenth of the load is short, and enough for every path to be compiled. */
const WARM_UP_SHARE = 16;

/** Time for a client to start, to connect and to report. */
const GRACE_MS = 30_000;
const ECHO_TIMEOUT_MS = 180_000;

/** Servers close idle connections after 10 s and more; opening them takes about one. */
const IDLE_SECONDS = 6;

function wrkRun(target: LoadTarget, seconds: number): WrkRun {
  const { wrk: file, url, connections, signal } = target;
  return { file, url, request: target.case.request, connections, seconds, signal };
}
