import { setTimeout as delay } from "node:timers/promises";
import { effectiveConfigSchema, routesSchema } from "../../control/answers.ts";
import { askControl } from "../../control/control-client.ts";
import type { RouteInfo } from "../../control/operations.ts";
import { CACHE_RESULTS } from "../../http/cache-result.ts";
import { LIMIT_NAMES } from "../../http/limit-names.ts";
import { EXIT, RuntimeError } from "../../lib/errors.ts";
import type { AccessEntry } from "../../log/access-entry.ts";
import { createPrettyLine, type LineFormat } from "../../log/access-line.ts";
import type { ControlInvocation } from "../arguments.ts";
import { describeNeighbours, findServer } from "../find-server.ts";
import type { OwnValues } from "../own-flags.ts";
import { FollowedFile, readLastLines } from "./followed-file.ts";
import {
  type AccessLine,
  createLineFilter,
  type LineFilter,
  parseAccessLine,
} from "./line-filter.ts";
import { findLogFiles, type LogFile } from "./log-files.ts";

/** Time between two looks at the files. */
const LOOK_MS = 200;

const QUESTION_TIMEOUT_MS = 10_000;

const DEFAULT_LINES = "10";

export interface LogsOptions extends Pick<ControlInvocation, "flags" | "json"> {
  own: OwnValues;
  env: Readonly<Record<string, string | undefined>>;
  cwd: string;
  /** Ends the command. */
  signal: AbortSignal;
  write: (text: string) => void;
  color: boolean;
}

/**
 * Shows access lines of the running server: the last ones, and with `--follow` those that come, until the signal aborts.
 *
 * @returns The exit code, with the problem for standard error.
 * @throws RuntimeError `ERR_CONFIG` for wrong flags, and for a server whose access lines are in no file.
 */
export async function showLogs(
  options: LogsOptions,
): Promise<{ problem: string; exitCode: number }> {
  const { flags, env, cwd, own, signal, json, write, color } = options;
  const { stateDir } = await findServer({ flags, env, cwd });
  const asked = { stateDir, needsRoutes: own["route"] !== undefined };
  const server = await askServer(asked);
  if ("problem" in server) {
    const neighbours = await describeNeighbours(stateDir, cwd);
    const problem = [server.problem, neighbours ?? []].flat().join("\n");
    return { problem, exitCode: EXIT.unavailable };
  }
  const { files, routes } = server;
  const { filter, problems } = createLineFilter(own, routes);
  const [count = DEFAULT_LINES] = own["lines"] ?? [];
  if (!/^\d{1,6}$/.test(count)) {
    problems.push(`Cannot use --lines: found "${count}", expected a number such as 100`);
  }
  const text = files.find(({ isJson }) => !isJson);
  if (filter !== null && text !== undefined) {
    problems.push(
      `Cannot filter ${text.path}: found lines in a form of their own, expected accessLogFormat "json"`,
    );
  }
  if (problems.length > 0) throw new RuntimeError("ERR_CONFIG", problems.join("\n"));
  const show = createDisplay({ filter, json, pretty: createPrettyLine(color) });
  const followed = files.map((file) => ({ file, reader: new FollowedFile(file.path) }));
  try {
    for (const { file, reader } of followed) {
      // The end is noted before the last lines are read: a line may come twice, and none is left out.
      if (own["follow"] !== undefined) await reader.begin();
      const last = await readLastLines(file.path, {
        most: Number(count),
        isShown: (line) => show(line, file) !== null,
      });
      write(last.map((line) => show(line, file) ?? "").join(""));
    }
    while (own["follow"] !== undefined && !signal.aborted) {
      for (const { file, reader } of followed) {
        const lines = await reader.read();
        write(lines.map((line) => show(line, file) ?? "").join(""));
      }
      await delay(LOOK_MS, null, { signal }).catch(() => {});
    }
  } finally {
    await Promise.all(followed.map(({ reader }) => reader.close()));
  }
  return { problem: "", exitCode: EXIT.drained };
}

/** Asks a server for its log files, and for its routes if a filter needs them. */
async function askServer({
  stateDir,
  needsRoutes,
}: {
  stateDir: string;
  needsRoutes: boolean;
}): Promise<{ files: LogFile[]; routes: RouteInfo[] } | { problem: string }> {
  const ask = { method: "GET", timeoutMs: QUESTION_TIMEOUT_MS } as const;
  const answer = await askControl(stateDir, { ...ask, path: "/config" });
  if (answer.kind !== "done") return { problem: answer.message };
  const config = effectiveConfigSchema.safeParse(answer.value);
  if (!config.success)
    return { problem: "Cannot read the server's settings: it runs another version" };
  const files = findLogFiles(config.data);
  if (typeof files === "string") {
    throw new RuntimeError("ERR_CONFIG", `Cannot show the access log: found ${files}`);
  }
  if (!needsRoutes) return { files, routes: [] };
  const listed = await askControl(stateDir, { ...ask, path: "/routes" });
  const routes = routesSchema.safeParse(listed.kind === "done" ? listed.value : null);
  return routes.success
    ? { files, routes: routes.data }
    : { problem: "Cannot read the server's routes: it runs another version" };
}

/** Returns a function that formats a line of a file; `null`: the line is not shown. */
function createDisplay({
  filter,
  json,
  pretty,
}: {
  filter: LineFilter | null;
  json: boolean;
  pretty: LineFormat;
}): (text: string, file: LogFile) => string | null {
  return (text, { isJson }) => {
    if (!isJson) return `${text}\n`;
    const line = parseAccessLine(text);
    if (line === null || (filter !== null && !filter(line))) return null;
    return json ? `${text}\n` : pretty(toEntry(line), Date.parse(line.time));
  };
}

function toEntry(line: AccessLine): AccessEntry {
  const { upstream: name, cache, limit, query } = line;
  const none = { referer: undefined, userAgent: undefined, traceparent: undefined, fields: "" };
  const facts = { scheme: "http", protocol: "HTTP/1.1" } as const;
  const upstream =
    name === undefined ? undefined : { name, attempts: 1, status: null, durationMs: null };
  const [cached, limitName] = [
    CACHE_RESULTS.find((result) => result === cache),
    LIMIT_NAMES.find((each) => each === limit),
  ];
  return { ...none, ...line, ...facts, query, upstream, cached, limit: limitName };
}
