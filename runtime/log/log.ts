import pino, { type Logger } from "pino";
import type { Config } from "../config/config.ts";
import type { LogDestination } from "./destination.ts";
import { disarm } from "./disarm.ts";
import { openLogPath, openStderr } from "./open-destination.ts";
import { createRedactor } from "./redactor.ts";

export type { Logger };

/** The form of log lines on a destination. */
export interface LogLook {
  pretty: boolean;
  color: boolean;
}

/** The form of log lines in files, which programs read. */
export const JSON_LOOK: LogLook = { pretty: false, color: false };

/**
 * Opens the log of this process: a file, or standard error. Never throws: retries a file that cannot be opened, and
 * reports it on standard error.
 *
 * Standard output is not suitable, because uWebSockets.js and `console.log` of handlers print there. Programs that read
 * the log need a stream without other text.
 */
export function openLog(file: string | null = null): LogDestination {
  const stderr = openStderr();
  if (file === null) return stderr;
  return openLogPath(file, { report: (problem) => stderr.write(`${problem}\n`) });
}

/** Makes the log report how many of its own lines were lost, once it accepts lines again. */
export function reportLosses(log: Logger, destination: LogDestination): void {
  destination.onLost = (lines) =>
    log.warn({ lines }, "log lines were lost: their reader was too slow or gone");
}

/**
 * Picks the form of log lines. Unless the config sets it: pretty on a terminal, JSON otherwise.
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
 * JSON lines contain `level` as a word, `time` as RFC 3339 and `pid`. Secrets in them are replaced (`redactor.ts`).
 */
export async function createLogger(
  config: Pick<Config, "logLevel"> & Partial<Pick<Config, "redactQuery">>,
  destination: LogDestination,
  look: LogLook,
): Promise<Logger> {
  const options: pino.LoggerOptions = {
    level: config.logLevel,
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  };
  const redactor = createRedactor(config.redactQuery);
  const flushSync = (): void => destination.flushSync();
  if (!look.pretty) {
    const write = (line: string): void => destination.write(redactor.line(line));
    return pino(options, { write, flushSync } as pino.DestinationStream);
  }
  // Takes 30 ms and 9 MB, so it is loaded only if needed.
  const { prettyFactory } = await import("pino-pretty");
  const prettify = prettyFactory({
    colorize: look.color,
    ignore: "pid,hostname",
    translateTime: "SYS:HH:MM:ss.l",
    singleLine: true,
  });
  const write = (line: string): void => {
    const safe = redactor.line(line);
    destination.write(prettify(disarm(safe)) ?? safe);
  };
  return pino(options, { write });
}
