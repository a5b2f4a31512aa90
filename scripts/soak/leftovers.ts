import { readdirSync, readFileSync, rmSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { openFilesOf } from "../../test/helpers/proc.ts";
import { countInstances } from "./heap-snapshot.ts";
import { shown, type Figure } from "./soak.ts";

/** This signal makes Node write a heap snapshot. The server does not use it otherwise. */
const SNAPSHOT_SIGNAL = "SIGWINCH";
const SNAPSHOT_MS = 60_000;
/** Time for closing leftovers: connections that were cut, files that are read to the end. */
const SETTLE_MS = 20_000;
const POLL_MS = 50;
const LOOKS = 3;
const LOOK_AGAIN_MS = 2_000;

/** Classes with one object per exchange, in the primary and in a worker; and timers. */
const PER_EXCHANGE = [
  "Exchange",
  "UwsClientSide",
  "StreamWriter",
  "RequestIntake",
  "ResponseFeed",
  "FileBodySource",
  "BytesSource",
  "SpoolFile",
  "SpillQueue",
  "ExchangeRun",
  "ExchangeContext",
  "RequestBody",
  "ResponseBody",
  "Timeout",
] as const;

/** Environment variables that make Node write heap snapshots into a folder. */
export function snapshotEnvironment(dir: string): Record<string, string> {
  mkdirSync(dir, { recursive: true });
  const flags = `--heapsnapshot-signal=${SNAPSHOT_SIGNAL} --diagnostic-dir=${dir}`;
  return { NODE_OPTIONS: flags };
}

/** The resources of processes: descriptors, and objects that belong to exchanges. */
export interface Holdings {
  readonly sockets: ReadonlyMap<number, number>;
  readonly files: ReadonlyMap<number, number>;
  readonly objects: ReadonlyMap<number, ReadonlyMap<string, number>>;
}

/** Measures idle processes. Stops each one for the duration of a snapshot. */
export async function readHoldings(pids: readonly number[], dir: string): Promise<Holdings> {
  const objects = await readObjects(pids, dir);
  return { ...readDescriptors(pids), objects };
}

async function readObjects(pids: readonly number[], dir: string): Promise<Holdings["objects"]> {
  const objects = new Map<number, ReadonlyMap<string, number>>();
  for (const pid of pids) objects.set(pid, await countObjects(pid, dir));
  return objects;
}

/**
 * Waits until the processes hold no more than before, or time is up.
 *
 * @returns A figure for each kind of resource, with a breach when some are left.
 */
export async function findLeftovers(before: Holdings, dir: string): Promise<Figure[]> {
  const pids = [...before.sockets.keys()];
  const deadlineMs = performance.now() + SETTLE_MS;
  let now = readDescriptors(pids);
  while (performance.now() < deadlineMs && !isBack(before, now)) {
    await delay(POLL_MS);
    now = readDescriptors(pids);
  }
  let left = await compareObjects(before.objects, dir);
  // A recent timer, or a connection whose end the next poll sees, is no leftover.
  for (let look = 1; look < LOOKS && left.length > 0; look++) {
    await delay(LOOK_AGAIN_MS);
    left = await compareObjects(before.objects, dir);
  }
  return [
    compare("sockets left", before.sockets, now.sockets),
    compare("files left", before.files, now.files),
    ...(left.length === 0 ? [shown("objects of exchanges left", "0")] : left),
  ];
}

/** Returns a figure for each class of which objects are left. */
async function compareObjects(before: Holdings["objects"], dir: string): Promise<Figure[]> {
  const objects = await readObjects([...before.keys()], dir);
  return PER_EXCHANGE.map((name) => {
    const count = (all: Holdings["objects"]): Map<number, number> =>
      new Map([...all].map(([pid, counts]) => [pid, counts.get(name) ?? 0]));
    return compare(`${name} left`, count(before), count(objects));
  }).filter(({ breach }) => breach !== undefined);
}

function readDescriptors(pids: readonly number[]): Pick<Holdings, "sockets" | "files"> {
  const sockets = new Map<number, number>();
  const files = new Map<number, number>();
  for (const pid of pids) {
    const open = openFilesOf(pid);
    const count = open.filter((target) => target.startsWith("socket:")).length;
    sockets.set(pid, count);
    files.set(pid, open.length - count);
  }
  return { sockets, files };
}

function isBack(before: Holdings, now: Pick<Holdings, "sockets" | "files">): boolean {
  return [...before.sockets.keys()].every(
    (pid) =>
      (now.sockets.get(pid) ?? 0) <= (before.sockets.get(pid) ?? 0) &&
      (now.files.get(pid) ?? 0) <= (before.files.get(pid) ?? 0),
  );
}

/** Compares by the process with the largest growth. */
function compare(
  name: string,
  before: ReadonlyMap<number, number>,
  now: ReadonlyMap<number, number>,
): Figure {
  const left = [...now].map(([pid, count]) => count - (before.get(pid) ?? 0));
  const most = Math.max(0, ...left);
  const figure = { name, value: left.map((count) => Math.max(0, count)).join(" + "), bound: "0" };
  return most === 0 ? figure : { ...figure, breach: `${name}: ${figure.value}, expected none` };
}

async function countObjects(pid: number, dir: string): Promise<ReadonlyMap<string, number>> {
  process.kill(pid, SNAPSHOT_SIGNAL);
  const deadlineMs = performance.now() + SNAPSHOT_MS;
  for (;;) {
    const name = readdirSync(dir).find((file) => file.includes(`.${pid}.`));
    // The file grows while it is written, and only its end shows that it is complete.
    const counts = name === undefined ? null : tryCount(join(dir, name));
    if (name !== undefined && counts !== null) {
      rmSync(join(dir, name));
      return counts;
    }
    if (performance.now() > deadlineMs) {
      throw new Error(`process ${pid} wrote no heap snapshot in ${SNAPSHOT_MS / 1000} s`);
    }
    await delay(POLL_MS);
  }
}

function tryCount(path: string): ReadonlyMap<string, number> | null {
  const text = readFileSync(path, "utf8");
  return text.trimEnd().endsWith("}") ? countInstances(text, PER_EXCHANGE) : null;
}
