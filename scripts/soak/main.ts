import { spawn, type ChildProcess } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { buffer } from "node:stream/consumers";
import { formatTable, type Row } from "../bench/table.ts";
import { runScript } from "../command-line.ts";
import { parseOptions, type Options } from "./options.ts";
import { Scope } from "./scope.ts";
import { findSmallBuffers } from "./small-buffers.ts";
import type { Figure, Soak } from "./soak.ts";
import { SOAKS } from "./soaks.ts";

/** Default duration of a soak. */
const SECONDS = 60;

/** Additional time for a soak: to start, to come to rest, and for work of a fixed size. */
const HUNG_MS = 600_000;
const KILL_MS = 30_000;

/** Set for a process that runs one soak: whether its sockets have small buffers. */
const INSIDE = "SOAK_INSIDE";

// Handles that a failed soak left open must not keep the process alive.
process.exit(await runScript(main));

async function main(args: readonly string[]): Promise<number> {
  const known = SOAKS.map(({ name }) => name);
  const options = parseOptions(args, { known, randomSeed: randomInt(1, 2 ** 31) });
  if (options.help) {
    console.log(help());
    return 0;
  }
  const { names } = options;
  const chosen = SOAKS.filter(({ name }) => names.length === 0 || names.includes(name));
  const inside = process.env[INSIDE];
  const [first] = chosen;
  return inside === undefined || first === undefined
    ? runApart(chosen, options)
    : runHere(first, { ...options, smallBuffers: inside === "small" });
}

/** Runs one soak in this process. */
async function runHere(
  soak: Soak,
  options: Options & { readonly smallBuffers: boolean },
): Promise<number> {
  const { seed, brief, maxGrowthBytes, smallBuffers } = options;
  const seconds = options.seconds ?? SECONDS;
  const title = `${soak.name}, seed ${seed}, ${seconds} s`;
  console.log(title);
  const scope = new Scope();
  closeOnInterrupt(scope);
  let figures: readonly Figure[] = [];
  const reasons: string[] = [];
  try {
    const say = (line: string): void => console.error(`${soak.name}: ${line}`);
    figures = await soak.run({ scope, seed, seconds, brief, maxGrowthBytes, smallBuffers, say });
  } catch (error) {
    reasons.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  try {
    await scope.close();
  } catch (error) {
    reasons.push(error instanceof Error ? error.message : String(error));
  }
  reasons.push(...figures.flatMap(({ breach }) => breach ?? []));
  if (figures.length > 0) console.log(formatTable(["figure", "is", "bound"], figures.map(toRow)));
  for (const reason of reasons) console.log(`FAILED: ${reason}`);
  console.log(reasons.length === 0 ? "passed" : `again: --seed ${seed} ${soak.name}`);
  return reasons.length === 0 ? 0 : 1;
}

/** The server is in a process group of its own: it must be ended here. */
function closeOnInterrupt(scope: Scope): void {
  const endWith = (reason: unknown): void => {
    console.log(`FAILED: ${reason instanceof Error ? reason.stack : String(reason)}`);
    void scope.close().finally(() => process.exit(1));
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, endWith);
  process.once("uncaughtException", endWith);
}

/** Runs each soak in a process of its own. They share no event loop, and leftovers of one do not affect the others. */
async function runApart(soaks: readonly Soak[], options: Options): Promise<number> {
  const waiting = soaks.filter(({ alone }) => alone !== true);
  const limitMs = (options.seconds ?? SECONDS) * 2000 + HUNG_MS;
  const children = new Set<ChildProcess>();
  forwardSignals(children);
  let failed = 0;
  const lane = async (queue: Soak[]): Promise<void> => {
    for (let soak = queue.shift(); soak !== undefined; soak = queue.shift()) {
      const child = startApart(soak, options);
      children.add(child);
      const ended = once(child, "exit");
      const hung = setTimeout(() => end(child), limitMs);
      const output = child.stdout === null ? null : await buffer(child.stdout);
      await ended;
      clearTimeout(hung);
      children.delete(child);
      if (output !== null) console.log(String(output));
      if (child.exitCode !== 0) failed++;
    }
  };
  await Promise.all(Array.from({ length: options.jobs }, () => lane(waiting)));
  await lane(soaks.filter(({ alone }) => alone === true));
  if (soaks.length > 1) {
    console.log(failed === 0 ? "all soaks passed" : `${failed} of ${soaks.length} soaks failed`);
  }
  return failed === 0 ? 0 : 1;
}

/** Ends a soak that hangs: gracefully, so that its server ends too, or else at once. */
function end(child: ChildProcess): void {
  console.error("a soak has not come to its end: ending it");
  child.kill("SIGTERM");
  setTimeout(() => child.kill("SIGKILL"), KILL_MS).unref();
}

function startApart(soak: Soak, options: Options): ChildProcess {
  const { buffersBytes } = soak;
  const launcher = buffersBytes === undefined ? null : findSmallBuffers(buffersBytes);
  const own = [process.execPath, ...process.execArgv, ...argsFor(soak, options)];
  const [program = process.execPath, ...args] = [...(launcher ?? []), ...own];
  return spawn(program, args, {
    // When several run at a time, each prints its whole output at once.
    stdio: ["ignore", options.jobs === 1 ? "inherit" : "pipe", "inherit"],
    env: { ...process.env, [INSIDE]: launcher === null ? "plain" : "small" },
  });
}

function forwardSignals(children: ReadonlySet<ChildProcess>): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      for (const child of children) child.kill(signal);
    });
  }
}

function argsFor({ name }: Soak, options: Options): string[] {
  const { seconds, seed, brief, maxGrowthBytes } = options;
  return [
    process.argv[1] ?? "",
    name,
    "--seed",
    String(seed),
    ...(maxGrowthBytes === null ? [] : ["--max-growth", String(maxGrowthBytes / 1024 ** 2)]),
    ...(seconds === null ? [] : ["--seconds", String(seconds)]),
    ...(brief ? ["--brief"] : []),
  ];
}

function toRow({ name, value, bound, breach }: Figure): Row {
  const verdict = breach === undefined ? "" : "  BROKEN";
  return { kind: "cells", cells: [name, value, `${bound ?? ""}${verdict}`] };
}

function help(): string {
  const lines = SOAKS.map(({ name, about }) => `  ${name.padEnd(16)} ${about}`);
  return `Runs long loads against the compiled server, and checks that nothing of them is left.

usage: npm run soak -- [NAME...] [options]

${lines.join("\n")}

  --seconds N      how long each goes on, about (${SECONDS})
  --seed S         repeats the random choices of an earlier run
  --brief          small sizes and no judgement of times, three at a time: for every change
  --max-growth N   MiB by which all processes of the server together may grow in echo-1g (only shown)
  --jobs N         how many run at a time (1; 3 with --brief)
  --help           prints this

Exit code: 0 all held, 1 an invariant broke, 78 bad option.`;
}
