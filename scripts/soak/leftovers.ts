import { readdirSync, readFileSync, rmSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { openFilesOf } from "../../test/helpers/proc.ts";
import { countInstances } from "./heap-snapshot.ts";
import { shown, type Figure } from "./soak.ts";

/** This signal makes Node write a heap snapshot. The server does not use it otherwise. */
const SNAPSHOT_SIGNAL = "SIGWINCH";
const SNAPSHOT_MS = 180_000;
/** Time for closing leftovers: connections that were cut, files that are read to the end. */
const SETTLE_MS = 60_000;
const POLL_MS = 50;
const LOOKS = 6;
const LOOK_AGAIN_MS = 2_000;

/** Classes with one object per exchange, in the primary and in a worker; and timers. */
export const PER_EXCHANGE = [
  "Exchange",
  "UwsClient",
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

/** Counts of resources, by their kind. Each has one count for each process. */
type Counts = ReadonlyMap<string, readonly number[]>;

/** The resources of idle processes before a load: descriptors, and objects that belong to exchanges. */
export class Holdings {
  readonly #pids: readonly number[];
  readonly #dir: string;
  readonly #descriptors: Counts;
  readonly #objects: Counts;

  private constructor(pids: readonly number[], dir: string, objects: Counts) {
    this.#pids = pids;
    this.#dir = dir;
    this.#descriptors = countDescriptors(pids);
    this.#objects = objects;
  }

  /** Stops each process for the duration of a snapshot. `dir`: the folder of `snapshotEnvironment`. */
  static async read(pids: readonly number[], dir: string): Promise<Holdings> {
    return new Holdings(pids, dir, await countObjects(pids, dir));
  }

  /**
   * Waits until the processes hold no more than before, or time is up.
   *
   * @returns A figure for each kind of resource, with a breach when some are left.
   */
  async findLeftovers(): Promise<Figure[]> {
    const deadlineMs = performance.now() + SETTLE_MS;
    let descriptors = compare(this.#descriptors, countDescriptors(this.#pids));
    while (performance.now() < deadlineMs && descriptors.some(isLeft)) {
      await delay(POLL_MS);
      descriptors = compare(this.#descriptors, countDescriptors(this.#pids));
    }
    let left = await this.#compareObjects();
    // A recent timer, or a connection whose end the next poll sees, is no leftover.
    for (let look = 1; look < LOOKS && left.length > 0; look++) {
      await delay(LOOK_AGAIN_MS);
      left = await this.#compareObjects();
    }
    return [
      ...descriptors,
      ...(left.length === 0 ? [shown("objects of exchanges left", "0")] : left),
    ];
  }

  async #compareObjects(): Promise<Figure[]> {
    return compare(this.#objects, await countObjects(this.#pids, this.#dir)).filter(isLeft);
  }
}

function isLeft({ breach }: Figure): boolean {
  return breach !== undefined;
}

/** Returns a figure for each kind. */
function compare(before: Counts, now: Counts): Figure[] {
  return [...now].map(([kind, counts]) => {
    const old = before.get(kind) ?? [];
    const left = counts.map((count, index) => Math.max(0, count - (old[index] ?? 0)));
    const figure = { name: `${kind} left`, value: left.join(" + "), bound: "0" };
    const breach = `${figure.name}: ${figure.value}, expected none`;
    return Math.max(...left) === 0 ? figure : { ...figure, breach };
  });
}

function countDescriptors(pids: readonly number[]): Counts {
  const open = pids.map(openFilesOf);
  const sockets = open.map((each) => each.filter((name) => name.startsWith("socket:")).length);
  const files = open.map((each, index) => each.length - (sockets[index] ?? 0));
  return new Map([
    ["sockets", sockets],
    ["files", files],
  ]);
}

async function countObjects(pids: readonly number[], dir: string): Promise<Counts> {
  const counts: ReadonlyMap<string, number>[] = [];
  for (const pid of pids) counts.push(await readSnapshot(pid, dir));
  return new Map(PER_EXCHANGE.map((name) => [name, counts.map((each) => each.get(name) ?? 0)]));
}

async function readSnapshot(pid: number, dir: string): Promise<ReadonlyMap<string, number>> {
  process.kill(pid, SNAPSHOT_SIGNAL);
  const deadlineMs = performance.now() + SNAPSHOT_MS;
  while (performance.now() < deadlineMs) {
    const name = readdirSync(dir).find((file) => file.includes(`.${pid}.`));
    const text = name === undefined ? "" : readFileSync(join(dir, name), "utf8");
    // The file grows while it is written, and only its end shows that it is complete.
    if (name !== undefined && text.trimEnd().endsWith("}")) {
      rmSync(join(dir, name));
      return countInstances(text, PER_EXCHANGE);
    }
    await delay(POLL_MS);
  }
  throw new Error(`process ${pid} wrote no heap snapshot in ${SNAPSHOT_MS / 1000} s`);
}
