import type * as z from "zod/mini";
import { explanationSchema } from "../control/explanation-schema.ts";
import {
  drainReportSchema,
  cronRunSchema,
  cronSchema,
  effectiveConfigSchema,
  generationsSchema,
  purgeReportSchema,
  recycleReportSchema,
  reloadReportSchema,
  routesSchema,
  statusSchema,
} from "../control/answers.ts";
import { type ConfigSources, type Flags, loadConfig } from "../config/config.ts";
import { listEffective } from "../config/list-effective.ts";
import { type ControlRequest, askControl } from "../control/control-client.ts";
import { EXIT, assertNever } from "../lib/errors.ts";
import type { ControlInvocation } from "./arguments.ts";
import { describeNeighbours, findServer, refuseOtherFolder } from "./find-server.ts";
import { formatConfig } from "./format-config.ts";
import { formatCron, formatCronRun } from "./format-cron.ts";
import { formatExplanation } from "./format-explanation.ts";
import { formatGenerations, formatReloadReport, formatStatus } from "./format-answers.ts";
import { formatRoutes } from "./format-routes.ts";
import { packageVersion } from "../lib/package-version.ts";

/** A command's output and exit code. */
export interface Outcome {
  /** For standard output. */
  text: string;
  /** For standard error. */
  problem: string;
  exitCode: number;
}

/**
 * Sends the command to the server that runs with the state folder of these flags, and waits for the result.
 *
 * The exit code is 0 after success; 78 when the server refused because of its settings, and 70 when it refused for another
 * reason, as `start` would exit; 69 when there is no server, or no answer.
 *
 * As JSON, a refusal is `{ "error": { "code", "message" } }` on standard output, as on the control socket. The message
 * stands on standard error as well.
 *
 * With a broken config file it looks for the server in the default place, and reports the mistake as well.
 *
 * @throws ERR_CONFIG when a named config file is missing.
 */
export async function runControl(
  invocation: ControlInvocation,
  { env, cwd }: { env: Readonly<Record<string, string | undefined>>; cwd: string },
): Promise<Outcome> {
  const { command, flags, json } = invocation;
  const { stateDir, note } = await findServer({ flags, env, cwd });
  if (command === "reload") await refuseOtherFolder(stateDir, { env, cwd });
  const answer = await askControl(stateDir, toRequest(invocation));
  const said = note === null ? [] : [note];
  switch (answer.kind) {
    case "unreachable": {
      const isAbsent = answer.why === "none" || answer.why === "stale";
      if (command === "config" && isAbsent) return showOwnConfig(flags, { env, cwd, json });
      const neighbours = isAbsent ? await describeNeighbours(stateDir, cwd) : null;
      const hints = neighbours === null ? [] : [neighbours];
      return {
        text: json ? toJson({ error: { code: null, message: answer.message } }) : "",
        problem: [...said, answer.message, ...hints].join("\n"),
        exitCode: EXIT.unavailable,
      };
    }
    case "refused":
      return {
        text: json ? toJson({ error: { code: answer.code, message: answer.message } }) : "",
        problem: [...said, answer.message].join("\n"),
        exitCode: exitCodeOf(answer.code),
      };
    case "done": {
      const text = json ? toJson(answer.value) : format(command, answer.value);
      if (text === null) {
        const problem = `Cannot read the server's answer to ${command}: it runs another version, expected ${packageVersion()} (--json shows it as it is)`;
        return { text: "", problem: [...said, problem].join("\n"), exitCode: EXIT.failed };
      }
      const warnings = command === "reload" ? toWarnings(answer.value) : [];
      const problem = [...said, ...warnings].join("\n");
      return { text, problem, exitCode: hasFailed(answer.value) ? EXIT.failed : EXIT.drained };
    }
    default:
      return assertNever(answer);
  }
}

/** Shows the settings that a start in this folder would use. */
async function showOwnConfig(
  flags: Flags,
  { json, ...sources }: Pick<ConfigSources, "env" | "cwd"> & { json: boolean },
): Promise<Outcome> {
  const config = listEffective(await loadConfig({ mode: "production", flags, ...sources }));
  return {
    text: json ? toJson(config) : formatConfig(config),
    problem: "no server runs with this state folder: these are the settings of a start",
    exitCode: EXIT.drained,
  };
}

/** Longest wait for a reload. A build and the start of all workers have shorter limits of their own. */
const RELOAD_TIMEOUT_MS = 30 * 60_000;

/** Longest wait for a stop: longer than the longest grace. */
const STOP_TIMEOUT_MS = 2 * 3_600_000;

/** Longest wait for a purge, which removes many files. */
const PURGE_TIMEOUT_MS = 10 * 60_000;

const QUESTION_TIMEOUT_MS = 10_000;

/** Longest wait for a run of a handler, which has a shorter limit of its own in most cases. */
const RUN_TIMEOUT_MS = 24 * 3_600_000;

function toRequest({ command, id, question, run }: ControlInvocation): ControlRequest {
  switch (command) {
    case "status":
    case "generations":
    case "config":
    case "routes":
      return { method: "GET", path: `/${command}`, timeoutMs: QUESTION_TIMEOUT_MS };
    case "cron":
      return run === undefined
        ? { method: "GET", path: "/cron", timeoutMs: QUESTION_TIMEOUT_MS }
        : { method: "POST", path: "/cron/run", body: run, timeoutMs: RUN_TIMEOUT_MS };
    case "reload":
      return { method: "POST", path: "/reload", timeoutMs: RELOAD_TIMEOUT_MS };
    case "rollback": {
      const body = id === null ? {} : { id };
      return { method: "POST", path: "/rollback", body, timeoutMs: RELOAD_TIMEOUT_MS };
    }
    case "purge":
      return {
        method: "POST",
        path: "/purge",
        body: { entries: id ?? "" },
        timeoutMs: PURGE_TIMEOUT_MS,
      };
    case "explain":
      return {
        method: "POST",
        path: "/explain",
        body: question,
        timeoutMs: QUESTION_TIMEOUT_MS,
      };
    case "recycle":
      return {
        method: "POST",
        path: "/recycle",
        body: { worker: Number(id) },
        timeoutMs: QUESTION_TIMEOUT_MS,
      };
    case "drain":
      return {
        method: "POST",
        path: "/drain",
        body: { draining: id !== "off" },
        timeoutMs: QUESTION_TIMEOUT_MS,
      };
    case "stop":
      return { method: "POST", path: "/stop", timeoutMs: STOP_TIMEOUT_MS };
    default:
      return assertNever(command);
  }
}

/** @returns `null`: the answer has another shape, from a server of another version. */
function format(command: ControlInvocation["command"], value: unknown): string | null {
  switch (command) {
    case "reload":
    case "rollback":
      return formatAs(reloadReportSchema, value, formatReloadReport);
    case "generations":
      return formatAs(generationsSchema, value, formatGenerations);
    case "status":
      return formatAs(statusSchema, value, formatStatus);
    case "purge":
      return formatAs(purgeReportSchema, value, ({ purged }) => `purged ${purged}\n`);
    case "explain":
      return formatAs(explanationSchema, value, formatExplanation);
    case "config":
      return formatAs(effectiveConfigSchema, value, formatConfig);
    case "routes":
      return formatAs(routesSchema, value, formatRoutes);
    case "recycle":
      return formatAs(
        recycleReportSchema,
        value,
        ({ worker, pool }) => `worker ${worker} of pool ${pool} drains once a fresh one serves\n`,
      );
    case "drain":
      return formatAs(drainReportSchema, value, ({ draining }) =>
        draining
          ? 'out of rotation: readiness probes fail, the server serves on ("edgicorn drain off" undoes it)\n'
          : "in rotation: readiness probes succeed again\n",
      );
    case "cron":
      return (
        formatAs(cronSchema, value, formatCron) ?? formatAs(cronRunSchema, value, formatCronRun)
      );
    case "stop":
      return "stopped\n";
    default:
      return assertNever(command);
  }
}

function formatAs<T>(
  schema: z.ZodMiniType<T>,
  value: unknown,
  toText: (value: T) => string,
): string | null {
  // Not `parse`: the class of its error, which `catch` would need, brings all of zod into the bundle (600 KB).
  const parsed = schema.safeParse(value);
  return parsed.success ? toText(parsed.data) : null;
}

/** Formats the server's warnings as `check` prints them. */
function toWarnings(value: unknown): string[] {
  const report = reloadReportSchema.safeParse(value);
  return report.success ? report.data.warnings.map((warning) => `warning: ${warning}`) : [];
}

/** Tells whether the answer is that to `cron run`, and the run failed. */
function hasFailed(value: unknown): boolean {
  const run = cronRunSchema.safeParse(value);
  return run.success && run.data.result !== "done";
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function exitCodeOf(code: string | null): number {
  if (code === "ERR_CONFIG") return EXIT.config;
  return code === "ERR_DRAINING" ? EXIT.unavailable : EXIT.failed;
}
