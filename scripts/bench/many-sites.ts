/**
 * Measures servers with one and with many sites side by side: start, reload, memory, and the CPU time of requests.
 *
 *     node --import tsx scripts/bench/many-sites.ts [--sites 1000] [--seconds 1]
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { runScript } from "../command-line.ts";

const PROGRAM = join(import.meta.dirname, "../../dist/main.js");

/** Number of sites for each site that has handlers, in a pool that it shares. */
const SITES_PER_HANDLERS = 10;
const POOLS = 4;

/** Hosts of a server without sites. */
const FEWEST_HOSTS = 1000;
const HANDLER = `export default () => new Response("hello");`;

/** A time in 2023. It has a fraction, because a file with a time of whole seconds gets its entity tag from its content. */
const FIRST_CHANGE_SECONDS = 1_700_000_000.123;

/** Kernel ticks per second, in which `/proc` counts CPU time. */
const TICKS_PER_SECOND = 100;

interface Row {
  case: string;
  [column: string]: string;
}

async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      sites: { type: "string", default: "1000" },
      seconds: { type: "string", default: "1" },
    },
  });
  const seconds = Number(values.seconds);
  const sites = Number(values.sites);
  const projects: Project[] = [
    { sites: 0, areAlike: true },
    { sites, areAlike: true },
    { sites, areAlike: false },
  ];
  const subjects: Subject[] = [];
  try {
    for (const project of projects) subjects.push(await prepare(project));
    // In turns: the machine may become slower or faster meanwhile.
    for (let round = 0; round < ROUNDS; round++) {
      for (const subject of subjects) loadAll(subject, seconds);
    }
    console.table(subjects.map(({ row, cpu }) => ({ ...row, ...formatAll(cpu) })));
  } finally {
    for (const { dir, server } of subjects) {
      await server.stop();
      rmSync(dir, { recursive: true, force: true });
    }
  }
  return 0;
}

const ROUNDS = 5;

interface Project {
  sites: number;
  /** All sites have the files, the handlers and the pool of the default one: only the host of a request differs. */
  areAlike: boolean;
}

/** A server, with its results. */
interface Subject {
  dir: string;
  server: Server;
  hosts: readonly string[];
  row: Row;
  /** CPU time of the primary per request in each round, in microseconds, by the name of the load. */
  cpu: Map<string, number[]>;
}

async function prepare(project: Project): Promise<Subject> {
  const { sites, areAlike } = project;
  const dir = mkdtempSync(join(tmpdir(), "edgicorn-sites-"));
  plant(dir, project);
  const cold = await Server.start(dir);
  await cold.stop();
  const server = await Server.start(dir);
  const memory = server.memory();
  const reload = server.reload();
  writeFileSync(join(dir, "handlers/changed.ts"), HANDLER);
  const changed = server.reload();
  const row = {
    case: sites === 0 ? "no sites" : `${sites} sites${areAlike ? ", all alike" : ""}`,
    "start, ms": `${Math.round(cold.startedMs)} (again ${Math.round(server.startedMs)})`,
    "reload, ms": `${reload} (one change ${changed})`,
    "memory, MiB": `${memory.primary} (workers ${memory.workers})`,
  };
  // Without sites, all hosts are those of the default site.
  return { dir, server, hosts: toHosts(Math.max(sites, FEWEST_HOSTS)), row, cpu: new Map() };
}

function loadAll({ dir, server, hosts, cpu }: Subject, seconds: number): void {
  const withHandlers = hosts.filter((_, number) => number % SITES_PER_HANDLERS === 0);
  const loads: [name: string, path: string, of: readonly string[]][] = [
    ["file, one host", "/page.txt", hosts.slice(0, 1)],
    ["file, all hosts", "/page.txt", hosts],
    ["handler, one host", "/hello", hosts.slice(0, 1)],
    ["handler, all hosts", "/hello", withHandlers],
  ];
  for (const [name, path, of] of loads) {
    const micros = server.load({ dir, path, hosts: of, seconds });
    cpu.set(name, [...(cpu.get(name) ?? []), micros]);
  }
}

function formatAll(cpu: ReadonlyMap<string, readonly number[]>): Record<string, string> {
  return Object.fromEntries(
    [...cpu].map(([name, all]) => {
      const median = all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)] ?? 0;
      return [`${name}, us`, `${median.toFixed(1)} (least ${Math.min(...all).toFixed(1)})`];
    }),
  );
}

function toHosts(sites: number): string[] {
  return Array.from({ length: sites }, (_, number) => `site-${number}.example`);
}

function plant(dir: string, { sites, areAlike }: Project): void {
  const write = (path: string, text: string): void => {
    mkdirSync(join(dir, path, ".."), { recursive: true });
    writeFileSync(join(dir, path), text);
  };
  write("handlers/hello.ts", HANDLER);
  write("public/page.txt", "page");
  const entries: Record<string, object> = {};
  for (const [number, host] of toHosts(sites).entries()) {
    if (areAlike) {
      entries[host] = { handlers: "handlers", public: "public", pool: "default" };
      continue;
    }
    write(`sites/${host}/public/page.txt`, "page");
    // Files that are written within one tick of the kernel's clock would have one entity tag, unlike those of real sites.
    const changedAt = FIRST_CHANGE_SECONDS + number;
    utimesSync(join(dir, `sites/${host}/public/page.txt`), changedAt, changedAt);
    entries[host] = { aliases: `www.${host}`, pool: `shared-${number % POOLS}` };
    if (number % SITES_PER_HANDLERS === 0) write(`sites/${host}/handlers/hello.ts`, HANDLER);
  }
  write("edgicorn.config.json", JSON.stringify({ sites: entries }));
}

class Server {
  readonly startedMs: number;
  readonly #child: ReturnType<typeof spawn>;
  readonly #dir: string;
  readonly #port: number;

  private constructor(
    child: ReturnType<typeof spawn>,
    { dir, port, startedMs }: { dir: string; port: number; startedMs: number },
  ) {
    this.#child = child;
    this.#dir = dir;
    this.#port = port;
    this.startedMs = startedMs;
  }

  static async start(dir: string): Promise<Server> {
    const startedAtMs = performance.now();
    const flags = ["--http", "0", "--https", "off", "--workers", "1", "--access-log", "off"];
    // On a busy machine a server would refuse requests.
    flags.push("--queue-delay", "0s");
    const args = [PROGRAM, "start", ...flags, "--log-format", "json"];
    const child = spawn(process.execPath, args, { cwd: dir, stdio: ["ignore", "ignore", "pipe"] });
    for await (const line of createInterface(child.stderr)) {
      const entry = JSON.parse(line) as { msg: string; listeners?: { port: number }[] };
      if (entry.msg !== "listening") continue;
      const port = entry.listeners?.[0]?.port ?? 0;
      child.stderr.resume();
      return new Server(child, { dir, port, startedMs: performance.now() - startedAtMs });
    }
    throw new Error("the server did not start");
  }

  /** Reloads, and returns the duration that the server reports. */
  reload(): number {
    const args = [PROGRAM, "reload", "--json"];
    const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: this.#dir });
    const text = stdout.toString();
    if (text === "") throw new Error(stderr.toString());
    return (JSON.parse(text) as { durationMs: number }).durationMs;
  }

  memory(): { primary: number; workers: number } {
    const ofWorkers = this.#workers().map(residentMib);
    return {
      primary: residentMib(this.#child.pid ?? 0),
      workers: ofWorkers.reduce((sum, mib) => sum + mib, 0),
    };
  }

  /** Sends requests to all hosts in turn. Returns the CPU time of the primary per request, in microseconds. */
  load(options: { dir: string; hosts: readonly string[]; path: string; seconds: number }): number {
    const { dir, hosts, path, seconds } = options;
    const script = join(dir, "load.lua");
    writeFileSync(
      script,
      `local hosts = {${hosts.map((host) => `"${host}"`).join(",")}}
local requests = {}
local at = 0
function init()
  for i, host in ipairs(hosts) do
    requests[i] = wrk.format("GET", "${path}", { Host = host })
  end
end
function request()
  at = at % #requests + 1
  return requests[at]
end`,
    );
    const pid = this.#child.pid ?? 0;
    const before = cpuSecondsOf(pid);
    const url = `http://127.0.0.1:${this.#port}`;
    const args = ["-t1", "-c32", `-d${seconds}s`, "-s", script, url];
    const { stdout } = spawnSync("wrk", args);
    const text = stdout.toString();
    if (/Non-2xx/.test(text)) throw new Error(text);
    const requests = Number(/(\d+) requests in/.exec(text)?.[1]);
    return ((cpuSecondsOf(pid) - before) / requests) * 1e6;
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    await once(this.#child, "exit");
  }

  #workers(): number[] {
    return readdirSync("/proc")
      .map(Number)
      .filter((pid) => parentOf(pid) === this.#child.pid);
  }
}

function statOf(pid: number): string[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    // It has ended since the folder was read.
    return [];
  }
}

function parentOf(pid: number): number {
  return Number(statOf(pid)[1]);
}

function cpuSecondsOf(pid: number): number {
  const fields = statOf(pid);
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function residentMib(pid: number): number {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  return Math.round(Number(/^VmRSS:\s*(\d+) kB$/m.exec(text)?.[1]) / 1024);
}

process.exitCode = await runScript(main);
