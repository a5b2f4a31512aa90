/**
 * Overloads a server of its own and prints what its clients see. `node --import tsx scripts/soak/overload-main.ts`, with
 * `--seconds N`, `--times N`, `--workers N`, and what one request costs: `--busy MS` of computing after `--wait MS`.
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { measureOverload, type Distribution } from "./overload.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "10" },
    times: { type: "string", default: "3" },
    workers: { type: "string", default: "1" },
    busy: { type: "string", default: "2" },
    wait: { type: "string", default: "0" },
  },
});

const HANDLER = `
import { setTimeout as delay } from "node:timers/promises";
const waitMs = ${Number(values.wait)};
export default async () => {
  if (waitMs > 0) await delay(waitMs);
  const endMs = performance.now() + ${Number(values.busy)};
  while (performance.now() < endMs);
  return new Response("done\\n");
};
`;

const dir = mkdtempSync(join(tmpdir(), "overload-"));
try {
  mkdirSync(join(dir, "handlers"));
  writeFileSync(join(dir, "handlers", "index.ts"), HANDLER);
  const entry = join(import.meta.dirname, "../../dist/main.js");
  const flags = ["--http", "0", "--https", "off", "--public", "off", "--access-log", "off"];
  const args = [entry, "start", ...flags, "--log-format", "json", "--workers", values.workers];
  const server = spawn(process.execPath, args, { cwd: dir, stdio: ["ignore", "ignore", "pipe"] });
  try {
    const port = await new Promise<number>((resolve, reject) => {
      server.once("exit", (code) => reject(new Error(`the server exited with ${code}`)));
      createInterface(server.stderr).on("line", (line) => {
        const [, found] = /"listeners":\[\{"scheme":"http","port":(\d+)/.exec(line) ?? [];
        if (found === undefined) console.error(line);
        else resolve(Number(found));
      });
    });
    const result = await measureOverload({
      port,
      path: "/",
      times: Number(values.times),
      durationMs: Number(values.seconds) * 1000,
    });
    const ratio = result.overloadedPerSecond / result.peakPerSecond;
    console.log(`peak          ${result.peakPerSecond.toFixed(0)} answers/s`);
    console.log(
      `overloaded    ${result.overloadedPerSecond.toFixed(0)} answers/s (${ratio.toFixed(2)} of it)` +
        ` of ${result.askedPerSecond.toFixed(0)} asked for`,
    );
    console.log(`served        ${show(result.servedMs)}`);
    console.log(`refused       ${show(result.refusedMs)}, ${result.refused} with 503`);
    console.log(
      `wait          ${result.earlyMs.toFixed(0)} ms early, ${result.lateMs.toFixed(0)} ms late`,
    );
    console.log(
      `not so        ${result.failed} failed, ${result.withoutRetryAfter} without Retry-After`,
    );
  } finally {
    server.removeAllListeners("exit");
    server.kill("SIGTERM");
    await new Promise((resolve) => server.once("exit", resolve));
  }
} finally {
  rmSync(dir, { recursive: true, force: true });
}

function show({ p50, p99, max }: Distribution): string {
  return `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, at most ${max.toFixed(1)} ms`;
}
