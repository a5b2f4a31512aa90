import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { LoadReport } from "./load.ts";

export interface H2loadRun {
  /** Path of the program. */
  readonly file: string;
  readonly url: string;
  readonly connections: number;
  /** Most streams of a connection at a time. */
  readonly streams: number;
  readonly seconds: number;
  readonly signal: AbortSignal;
}

/** Loads a URL over HTTP/2 with one thread that keeps every stream busy. */
export async function runH2load(run: H2loadRun): Promise<LoadReport> {
  const { file, url, connections, streams, seconds, signal } = run;
  const args = ["--threads=1", `--clients=${connections}`, `--max-concurrent-streams=${streams}`];
  const timeout = seconds * 1000 + GRACE_MS;
  const options = { signal, timeout };
  const { stdout } = await promisify(execFile)(file, [...args, `-D${seconds}`, url], options);
  const report = parseH2load(stdout, seconds);
  if (report === undefined)
    throw new Error(`Cannot parse the output of h2load: ${stdout.slice(-400)}`);
  return report;
}

/** Parses the output of `h2load -D`; `undefined` if a figure is missing. It has no percentiles. */
export function parseH2load(text: string, seconds: number): LoadReport | undefined {
  const requests = /^requests: .*?(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored/m.exec(
    text,
  );
  const statuses = /^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx/m.exec(text);
  if (requests === null || statuses === null) return undefined;
  const count = Number(requests[1]);
  return {
    count,
    rate: count / seconds,
    badStatuses: Number(statuses[3]) + Number(statuses[4]),
    socketErrors: Number(requests[4]),
  };
}

/** How long after its duration h2load may still take to connect, settle and print. */
const GRACE_MS = 30_000;
