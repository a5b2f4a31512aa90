/**
 * Loses workers in every way under load, and looks at what clients see of it.
 *
 *     node --import tsx scripts/soak/kill-workers.ts --seconds 30
 *
 * Exit code: 0 all held, 1 something broke, 78 bad option.
 */
import { parseArgs } from "node:util";
import { EXIT } from "../../runtime/errors.ts";
import { killUnderLoad, poisonUnderLoad, type LossReport } from "./worker-losses.ts";

const TIMES = 20;

const { values } = parseArgs({ options: { seconds: { type: "string", default: "30" } } });
const seconds = Number(values.seconds);
if (seconds > 0) {
  process.exitCode = await main(seconds);
} else {
  console.error(`Cannot use --seconds: "${values.seconds}", expected a number above 0`);
  process.exitCode = EXIT.config;
}

async function main(secondsEach: number): Promise<number> {
  const kills = { seconds: secondsEach, killEveryMs: 200 };
  const runs: [name: string, run: () => Promise<string[]>][] = [
    ["kill -9 under GET", () => underGet(kills)],
    ["kill -9 under POST", () => underPost(kills)],
  ];
  for (const how of ["exit", "abort", "throw", "bomb", "loop"]) {
    const same = Array.from({ length: TIMES }, () => `/poison?how=${how}`);
    const different = same.map((path, index) => `${path}&n=${index}`);
    runs.push([`the same ${how}`, () => underPoison(same, 1)]);
    runs.push([`a new ${how} each time`, () => underPoison(different, TIMES)]);
  }
  let broken = 0;
  for (const [name, run] of runs) {
    console.log(`${name}:`);
    const breaches = await run();
    for (const breach of breaches) console.log(`  FAILED: ${breach}`);
    broken += breaches.length;
  }
  console.log(broken === 0 ? "passed" : `${broken} invariants broke`);
  return broken === 0 ? 0 : 1;
}

async function underGet(options: { seconds: number; killEveryMs: number }): Promise<string[]> {
  const report = await owned((owner) => killUnderLoad(owner, { ...options, method: "GET" }));
  return [...common(report), ...lossless(report)];
}

async function underPost(options: { seconds: number; killEveryMs: number }): Promise<string[]> {
  const report = await owned((owner) => killUnderLoad(owner, { ...options, method: "POST" }));
  const { 502: failed = 0, ...others } = report.failed;
  return [
    ...common(report),
    ...Object.entries(others).map(([how, count]) => `${count} requests failed with ${how}`),
    ...(failed === report.lost ? [] : [`${failed} failed, and the server lost ${report.lost}`]),
  ];
}

async function underPoison(paths: readonly string[], different: number): Promise<string[]> {
  const env = { NODE_OPTIONS: "--max-old-space-size=64" };
  const report = await owned((owner) => poisonUnderLoad(owner, { paths, env }));
  const { quarantined, workers } = report;
  return [
    ...common(report),
    ...lossless(report),
    ...(quarantined === different ? [] : [`${quarantined} quarantined, expected ${different}`]),
    ...(workers <= 2 * different ? [] : [`${workers} workers lost, expected ${2 * different}`]),
  ];
}

/** What holds whatever is lost. */
function common(report: LossReport): string[] {
  console.log(`  ${JSON.stringify(report)}`);
  return report.wrong.map((wrong) => `a wrong answer to ${wrong}`);
}

function lossless({ failed }: LossReport): string[] {
  return Object.entries(failed).map(([how, count]) => `${count} requests failed with ${how}`);
}

/** Closes what was opened for a run when it is over. */
async function owned<T>(
  run: (owner: { after: (callback: () => void | Promise<void>) => void }) => Promise<T>,
): Promise<T> {
  const callbacks: (() => void | Promise<void>)[] = [];
  try {
    return await run({ after: (callback) => void callbacks.push(callback) });
  } finally {
    for (const callback of callbacks) await callback();
  }
}
