import { rmSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { dirname, join, resolve } from "node:path";
import { RuntimeError } from "../../runtime/lib/errors.ts";
import { runScript } from "../command-line.ts";
import { installPeers } from "./install.ts";
import { readMachine, versionsOf } from "./machine.ts";
import { measure, stateBefore } from "./measure.ts";
import { HELP, parseOptions, type Options } from "./options.ts";
import { pickEntries, type Entry } from "./plan.ts";
import { findLauncher, type ProcessGroup } from "./process-group.ts";
import { formatHeading, formatList, formatReport } from "./report.ts";
import { TARGETS, judge } from "./targets.ts";
import { findTools, missingDebianPackages, type Tool, type ToolName } from "./tools.ts";
import { runTurn, type Bench } from "./turn.ts";
import {
  createRunFolder,
  ensureCertificate,
  prepareWorkspace,
  type Workspace,
} from "./workspace.ts";

process.exitCode = await runScript(main);

async function main(args: readonly string[]): Promise<number> {
  const options = parseOptions(args);
  if (options.action === "help") {
    console.log(HELP);
    return 0;
  }
  const entries = pickEntries(options.only, options.cases);
  const workspace = await prepareWorkspace();
  if (options.install) {
    const debianPackages = missingDebianPackages(findTools(workspace));
    installPeers({ peersFolder: workspace.peersFolder, debianPackages, say });
  }
  const tools = findTools(workspace);
  if (options.action === "list") {
    console.log(formatList(entries.map((entry) => ({ entry, state: stateBefore(entry, tools) }))));
    return 0;
  }
  return load({ options, entries, workspace, tools });
}

interface Job {
  readonly options: Options;
  readonly entries: readonly Entry[];
  readonly workspace: Workspace;
  readonly tools: ReadonlyMap<ToolName, Tool>;
}

/** Runs everything that starts servers. No server outlives it, however it ends. */
async function load(job: Job): Promise<number> {
  const { options, workspace, tools } = job;
  const living = new Set<ProcessGroup>();
  const runFolder = await createRunFolder();
  process.once("exit", () => {
    for (const group of living) group.killNow();
    rmSync(runFolder, { recursive: true, force: true });
  });
  const interrupt = abortOnSignals();
  const certificate = await ensureCertificate(
    workspace.certificatesFolder,
    requireTool(tools, "openssl"),
  );
  const bench: Bench = {
    setting: {
      ...certificate,
      peersFolder: workspace.peersFolder,
      publicFolder: workspace.publicFolder,
      certificatesFolder: workspace.certificatesFolder,
      connections: options.connections,
      workers: options.workers,
      user: userInfo().username,
      tool: (name) => requireTool(tools, name),
    },
    profilesFolder: undefined,
    runFolder,
    wrk: requireTool(tools, "wrk"),
    seconds: options.seconds,
    warmUpSeconds: options.warmUpSeconds,
    launcher: findLauncher(),
    living,
    signal: interrupt.signal,
  };
  try {
    const run = options.action === "profile" ? profile : compare;
    const code = await run(job, bench);
    return interrupt.exitCode() ?? code;
  } catch (error) {
    const code = interrupt.exitCode();
    if (code === undefined) throw error;
    return code; // An interrupted run fails in one way or another; the signal is the reason.
  }
}

async function compare({ options, entries, workspace, tools }: Job, bench: Bench): Promise<number> {
  const startedAt = new Date();
  const machine = readMachine();
  const versions = versionsOf(tools);
  const { rounds, retries } = options;
  const results = await measure(entries, { bench, rounds, retries, tools, say });
  const verdicts = judge(TARGETS, results);
  console.log(formatHeading({ machine, versions, options }));
  console.log(`\n${formatReport(results, verdicts)}\n`);
  if (bench.signal.aborted) {
    say("Interrupted: these figures are of the rounds before; no JSON is written");
    return 1;
  }
  const name = `${startedAt.toISOString().replaceAll(/[:.]/g, "-")}.json`;
  const file = resolve(options.jsonFile ?? join(workspace.resultsFolder, name));
  await mkdir(dirname(file), { recursive: true });
  const rows = results.map(({ entry, state, turns }) => ({ id: entry.id, state, turns }));
  const content = { startedAt, machine, versions, options, rows, targets: verdicts };
  await writeFile(file, `${JSON.stringify(content, undefined, 2)}\n`);
  console.log(`JSON: ${file}`);
  const isWhole = results.every(({ state }) => state.kind !== "failed");
  return isWhole && results.some(({ turns }) => turns.length > 0) ? 0 : 1;
}

async function profile({ entries, workspace, tools }: Job, bench: Bench): Promise<number> {
  requireTool(tools, "edgicorn");
  for (const entry of entries.filter(({ server }) => server === "edgicorn")) {
    const turn = await runTurn(entry, 0, { ...bench, profilesFolder: workspace.profilesFolder });
    const folder = join(workspace.profilesFolder, entry.case.id);
    console.log(
      `${entry.id}: ${Math.round(turn.rate)} ${entry.case.unit}/s, profiles in ${folder}`,
    );
  }
  return 0;
}

/** The first signal ends the run gracefully; a second one ends it at once. */
function abortOnSignals(): {
  readonly signal: AbortSignal;
  readonly exitCode: () => number | undefined;
} {
  const controller = new AbortController();
  let code: number | undefined;
  for (const [name, number] of [
    ["SIGHUP", 1],
    ["SIGINT", 2],
    ["SIGTERM", 15],
  ] as const) {
    process.on(name, () => {
      if (code !== undefined) process.exit(code);
      code = 128 + number;
      controller.abort(new Error(`interrupted by ${name}`));
    });
  }
  return { signal: controller.signal, exitCode: () => code };
}

function requireTool(tools: ReadonlyMap<ToolName, Tool>, name: ToolName): string {
  const tool = tools.get(name);
  if (tool?.kind === "found") return tool.file;
  const reason = tool?.reason ?? "is unknown";
  throw new RuntimeError("ERR_CONFIG", `Cannot run the benchmark: ${name} ${reason}`);
}

/** Progress, apart from the tables. */
function say(line: string): void {
  console.error(line);
}
