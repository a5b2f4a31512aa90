import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { applyLoad, extraConnections, type ExtraFigures, type LoadReport } from "./load.ts";
import { pickFreePorts, waitUntilReady } from "./probe.ts";
import {
  readCpuMs,
  readMachineCpu,
  readMemoryBytes,
  readOwnChildrenCpuMs,
  readSessions,
} from "./proc.ts";
import { ProcessGroup } from "./process-group.ts";
import { SERVERS } from "./servers.ts";
import { accessLogFile, type RunSetting, type Setting, type Template } from "./setting.ts";
import type { Entry } from "./plan.ts";

/** One measurement: one row in one round. */
export interface Turn extends LoadReport, ExtraFigures {
  readonly round: number;
  /** From the start of the programs to the first right answer. */
  readonly startMs: number;
  /** Processor time, user and system, of all processes of the server, for one unit of the case. */
  readonly cpuUsPerUnit: number;
  /** Highest sum over all processes of the server, read under load. Shared pages count once. */
  readonly peakMemoryBytes: number;
  /** Cores that the load generator used. Near 1 it is the bottleneck, and the server could do more. */
  readonly loadCores: number;
  /** Cores that other programs on the machine used meanwhile. */
  readonly otherCores: number;
  /** Cores that another guest of the same host took away. */
  readonly stolenCores: number;
}

/** Most cores that the machine's own housekeeping takes. */
export const CALM_CORES = 0.1;

/** Returns the cores that neither the server nor the load generator could use during a turn. */
export function lostCores(turn: Turn): number {
  return turn.otherCores + turn.stolenCores;
}

/** The settings that all turns share. */
export interface Bench {
  readonly setting: RunSetting;
  /** Folder of CPU profiles of this project's processes; `undefined`: it makes none. */
  readonly profilesFolder: string | undefined;
  /** Each turn has a folder in it. */
  readonly runFolder: string;
  readonly wrk: string;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly launcher: readonly string[];
  readonly living: Set<ProcessGroup>;
  readonly signal: AbortSignal;
}

/**
 * Starts the server, checks its answer, loads it, and ends it again.
 *
 * A server lives for its turn only. No other server runs beside the measured one, and each round is a sample of its
 * own, start included.
 */
export async function runTurn(entry: Entry, round: number, bench: Bench): Promise<Turn> {
  const folder = join(bench.runFolder, `${round}-${entry.id.replace("/", "-")}`);
  await mkdir(folder);
  const [port = 0, upstreamPort = 0] = await pickFreePorts(2);
  const { app, tls, accessLog, request, load, refuse } = entry.case;
  const profileFolder = bench.profilesFolder && join(bench.profilesFolder, entry.case.id);
  const clientConnections = bench.setting.connections + extraConnections(load);
  const ports = { port, upstreamPort };
  const isHttp2 = load.kind === "h2load";
  const own = { folder, app, tls, isHttp2, accessLog, clientConnections, profileFolder };
  const setting: Setting = { ...bench.setting, ...ports, ...own };
  const { templates, commands } = SERVERS[entry.server].launch(setting);
  for (const template of templates) await fillIn(template);

  const { signal, launcher, living } = bench;
  const startedAt = performance.now();
  const group = new ProcessGroup(commands, {
    outputFile: accessLogFile(setting),
    graceMs: GRACE_MS,
    launcher,
    living,
  });
  try {
    // The name, not the address: most TLS clients name the server.
    const url = `${tls ? "https" : "http"}://${tls ? "localhost" : "127.0.0.1"}:${port}${request.path}`;
    await waitUntilReady({
      url,
      request,
      refuse,
      signal,
      failure: () => group.failure,
      lastWords: () => group.lastWords(),
    });
    const startMs = performance.now() - startedAt;
    const { wrk, seconds, warmUpSeconds } = bench;
    const h2load = isHttp2 ? bench.setting.tool("h2load") : "";
    const { connections } = bench.setting;
    const memoryIntervalMs = load.kind === "echo" ? MEMORY_INTERVAL_MS / 4 : MEMORY_INTERVAL_MS;
    const run = { case: entry.case, url, wrk, h2load, connections, seconds, warmUpSeconds, signal };
    const figures = await applyLoad({
      ...run,
      observe: (part) => observe(group, part, memoryIntervalMs),
      readMemoryBytes: () => readMemoryBytes(readSessions(group.measuredSessions).keys()),
      readClientsAtBytes: () => readMemoryBytes(group.clientsAt),
    });
    if (group.failure !== undefined) throw new Error(group.failure);
    return { round, startMs, ...figures };
  } catch (error) {
    // The client sees the effect. The reason is in the server's output, or in the way it ended.
    const words = group.failure ?? group.lastWords();
    const reason = error instanceof Error ? error.message : String(error);
    if (words === "" || reason.includes(words)) throw error;
    throw new Error(`${reason}. The server: ${words}`, { cause: error });
  } finally {
    await group.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** The figures of every load. */
export type Observed = Omit<Turn, "round" | "startMs" | keyof ExtraFigures>;

async function observe(
  group: ProcessGroup,
  load: () => Promise<LoadReport>,
  memoryIntervalMs: number,
): Promise<Observed> {
  const sessions = group.measuredSessions;
  const { upstreamSessions } = group;
  let peakMemoryBytes = 0;
  const watch = (): void => {
    peakMemoryBytes = Math.max(peakMemoryBytes, readMemoryBytes(readSessions(sessions).keys()));
  };
  const timer = setInterval(watch, memoryIntervalMs);
  try {
    const before = readClocks(sessions, upstreamSessions);
    const report = await load();
    const after = readClocks(sessions, upstreamSessions);
    watch();
    const wallMs = after.wallMs - before.wallMs;
    const serverMs = after.serverMs - before.serverMs;
    const loadMs = after.loadMs - before.loadMs;
    const upstreamMs = after.upstreamMs - before.upstreamMs;
    const busyMs = after.machine.busyMs - before.machine.busyMs;
    return {
      ...report,
      cpuUsPerUnit: (serverMs * 1000) / report.count,
      peakMemoryBytes,
      loadCores: loadMs / wallMs,
      otherCores: Math.max(0, busyMs - serverMs - upstreamMs - loadMs) / wallMs,
      stolenCores: (after.machine.stolenMs - before.machine.stolenMs) / wallMs,
    };
  } finally {
    clearInterval(timer);
  }
}

function readClocks(
  sessions: ReadonlySet<number>,
  upstreamSessions: ReadonlySet<number>,
): {
  readonly wallMs: number;
  readonly serverMs: number;
  readonly upstreamMs: number;
  readonly loadMs: number;
  readonly machine: ReturnType<typeof readMachineCpu>;
} {
  const serverMs = readCpuMs(sessions);
  const upstreamMs = upstreamSessions.size === 0 ? 0 : readCpuMs(upstreamSessions);
  // The load generator is the only program of the benchmark that ends during a measurement.
  const loadMs = readOwnChildrenCpuMs();
  return { wallMs: performance.now(), serverMs, upstreamMs, loadMs, machine: readMachineCpu() };
}

async function fillIn({ from, to, values }: Template): Promise<void> {
  const text = await readFile(from, "utf8");
  const filled = text.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`no value for {{${name}}} in ${from}`);
    return value;
  });
  await writeFile(to, filled);
}

/** More than any server here needs to end once no client is connected, CPU profiles included. */
const GRACE_MS = 5000;

/** Reading the memory of a process stops it for about a millisecond: rare enough not to show. An echo is short. */
const MEMORY_INTERVAL_MS = 1000;
