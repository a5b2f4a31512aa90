import pino, { type Logger } from "pino";
import type { Config } from "../config/config.ts";
import type { LogDestination } from "./destination.ts";
import { disarm } from "./disarm.ts";
import { openLogPath, openStderr } from "./open-destination.ts";

export type { Logger };

/** Which form log lines take on a destination. */
export interface LogLook {
  pretty: boolean;
  color: boolean;
}

/** In files, for programs. */
export const JSON_LOOK: LogLook = { pretty: false, color: false };

/**
 * Opens the log of this process: a file, or standard error. Never throws: a file that cannot be opened is tried again,
 * and standard error says so.
 *
 * Not standard output: there uWebSockets.js prints notes of its own, and handlers print with `console.log`; a log that
 * programs read has a stream to itself.
 */
export function openLog(file: string | null = null): LogDestination {
  const stderr = openStderr();
  if (file === null) return stderr;
  return openLogPath(file, { report: (problem) => stderr.write(`${problem}\n`) });
}

/** Has the log say how many lines of itself were lost, once it can again. */
export function reportLosses(log: Logger, destination: LogDestination): void {
  destination.onLost = (lines) =>
    log.warn({ lines }, "log lines were lost: their reader was too slow or gone");
}

/**
 * Picks the form of log lines: for people on a terminal, JSON otherwise, unless the config says which.
 *
 * Colours follow `NO_COLOR` and `FORCE_COLOR`.
 */
export function pickLogLook(
  logFormat: Config["logFormat"],
  terminal: { isTTY: boolean; env: Readonly<Record<string, string | undefined>> },
): LogLook {
  const { isTTY, env } = terminal;
  const pretty = logFormat === "pretty" || (logFormat === "auto" && isTTY);
  const forced = env["FORCE_COLOR"];
  const wanted =
    forced === undefined || forced === "" ? isTTY && env["TERM"] !== "dumb" : forced !== "0";
  return { pretty, color: pretty && wanted && (env["NO_COLOR"] ?? "") === "" };
}

/**
 * Creates the root logger of this process.
 *
 * JSON lines carry `level` as a word, `time` as RFC 3339 and `pid`. Credentials in fields named `authorization`,
 * `proxy-authorization`, `cookie`, `set-cookie` or `password` are replaced, up to two objects deep.
 */
export async function createLogger(
  config: Pick<Config, "logLevel">,
  destination: LogDestination,
  look: LogLook,
): Promise<Logger> {
  const options: pino.LoggerOptions = {
    level: config.logLevel,
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: REDACTED_PATHS, censor: "[redacted]" },
  };
  if (!look.pretty) return pino(options, destination);
  // 30 ms and 9 MB: only where a person reads along.
  const { prettyFactory } = await import("pino-pretty");
  const prettify = prettyFactory({
    colorize: look.color,
    ignore: "pid,hostname",
    translateTime: "SYS:HH:MM:ss.l",
    singleLine: true,
  });
  return pino(options, { write: (line) => destination.write(prettify(disarm(line)) ?? line) });
}

const SECRETS = ["authorization", "proxy-authorization", "cookie", "set-cookie", "password"];

const REDACTED_PATHS = SECRETS.flatMap((name) => [`["${name}"]`, `*["${name}"]`, `*.*["${name}"]`]);
