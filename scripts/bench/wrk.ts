import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { CaseRequest } from "./cases.ts";

/** The results of one run of wrk. */
export interface WrkReport {
  /** Requests that were answered, in all and per second. */
  readonly count: number;
  readonly rate: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** Answers with a status from 400, and other than 2xx or 3xx in general. */
  readonly badStatuses: number;
  /** Failed connects, reads and writes, and requests that took more than wrk's two seconds. */
  readonly socketErrors: number;
}

export interface WrkRun {
  /** Path of the program. */
  readonly file: string;
  readonly url: string;
  readonly request: Omit<CaseRequest, "path">;
  readonly connections: number;
  readonly seconds: number;
  readonly signal: AbortSignal;
}

/**
 * Loads a URL with one thread that keeps every connection busy.
 *
 * A second thread would take a core from the server, which shares the machine.
 */
export async function runWrk(run: WrkRun): Promise<WrkReport> {
  const { file, url, request, connections, seconds, signal } = run;
  const args = ["--threads", "1", "--connections", String(connections)];
  args.push("--duration", `${seconds}s`, "--latency", ...requestArgs(url, request));
  const timeout = seconds * 1000 + GRACE_MS;
  const { stdout } = await promisify(execFile)(file, args, { signal, timeout });
  const report = parseWrk(stdout);
  if (report === undefined)
    throw new Error(`Cannot parse the output of wrk: ${stdout.slice(0, 400)}`);
  return report;
}

/** Returns the arguments for the request; without a script if it is a plain `GET`. */
export function requestArgs(
  url: string,
  { method, fields, body }: Omit<CaseRequest, "path">,
): readonly string[] {
  if (method === "GET" && fields.length === 0) return [url];
  return ["--script", REQUEST_SCRIPT, url, "--", method, body, ...fields.flat()];
}

/** Parses the output of `wrk --latency`; `undefined` if a figure is missing. */
export function parseWrk(text: string): WrkReport | undefined {
  const count = numberIn(text, /^\s*(\d+) requests in /m);
  const rate = numberIn(text, /^Requests\/sec:\s+([\d.]+)/m);
  const p50Us = durationIn(text, /^\s+50(?:\.0+)?%\s+(\S+)/m);
  const p99Us = durationIn(text, /^\s+99(?:\.0+)?%\s+(\S+)/m);
  if (count === undefined || rate === undefined) return undefined;
  if (p50Us === undefined || p99Us === undefined) return undefined;
  const badStatuses = numberIn(text, /^\s*Non-2xx or 3xx responses: (\d+)/m) ?? 0;
  const socketErrors = socketErrorsIn(text);
  return { count, rate, p50Us, p99Us, badStatuses, socketErrors };
}

const REQUEST_SCRIPT = fileURLToPath(new URL("request.lua", import.meta.url));

/** How long after its duration wrk may still take to connect, settle and print. */
const GRACE_MS = 30_000;

/** Units of latencies in wrk's output. It never goes beyond minutes in a run of seconds. */
const UNIT_US: Readonly<Record<string, number>> = { us: 1, ms: 1000, s: 1_000_000, m: 60_000_000 };

function numberIn(text: string, pattern: RegExp): number | undefined {
  const found = pattern.exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}

function durationIn(text: string, pattern: RegExp): number | undefined {
  const [, value, unit] = /^([\d.]+)([a-z]+)$/.exec(pattern.exec(text)?.[1] ?? "") ?? [];
  const factor = unit === undefined ? undefined : UNIT_US[unit];
  return factor === undefined ? undefined : Number(value) * factor;
}

/** The line is only there when a request failed. */
function socketErrorsIn(text: string): number {
  const line = /^\s*Socket errors: (.*)$/m.exec(text)?.[1] ?? "";
  return [...line.matchAll(/\d+/g)].reduce((sum, [digits]) => sum + Number(digits), 0);
}
