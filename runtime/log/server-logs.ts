import type { Config } from "../config/config.ts";
import { RuntimeError } from "../lib/errors.ts";
import {
  createLogger,
  JSON_LOOK,
  type Logger,
  type LogLook,
  pickLogLook,
  reportLosses,
} from "./log.ts";
import { type AccessLog, createAccessLog } from "./access-log.ts";
import type { LineFormat } from "./access-line.ts";
import type { LogDestination } from "./destination.ts";
import { assertOpens, openLogPath, openStderr } from "./open-destination.ts";

/**
 * All logs of a server: standard error or a file, and optionally another file for access lines. They stay open until
 * the process ends. Waiting lines are written at its exit.
 */
export class ServerLogs {
  readonly #stderr = openStderr();
  #main: LogDestination = this.#stderr;
  #look: LogLook = JSON_LOOK;
  #log: Logger | null = null;
  /** The files of access logs. */
  readonly #access = new Set<LogDestination>();
  /** Number of lines that files lost which are closed now. */
  #earlierLostLines = 0;

  /**
   * Opens the logs that the config asks for, and creates the logger.
   *
   * @throws RuntimeError `ERR_CONFIG` when a file cannot be opened.
   */
  async open(config: Config): Promise<Logger> {
    const { logFile, logFormat, accessLog } = config;
    if (logFile !== null) refuseUnopenable("logFile", logFile);
    if (typeof accessLog === "string") refuseUnopenable("accessLog", accessLog);
    const terminal = { isTTY: process.stderr.isTTY, env: process.env };
    this.#look = logFile === null ? pickLogLook(logFormat, terminal) : JSON_LOOK;
    if (logFile !== null) this.#main = openLogPath(logFile, { report: this.#report });
    this.#log = await createLogger(config, this.#main, this.#look);
    reportLosses(this.#log, this.#main);
    return this.#log;
  }

  /**
   * Opens the access log, in the main log or in a separate file. Must be called after `open`. Only one may be open at a
   * time.
   *
   * @param format `null`: JSON, or the form of the main log.
   */
  createAccessLog(target: true | string, format: LineFormat | null): AccessLog {
    if (target === true) return createAccessLog(this.#main, { ...this.#look, format });
    const destination = openLogPath(target, { report: this.#report });
    this.#access.add(destination);
    if (this.#log !== null) reportLosses(this.#log, destination);
    const onClosed = (): void => {
      this.#access.delete(destination);
      void destination.close().then(() => (this.#earlierLostLines += destination.droppedLines));
    };
    return createAccessLog(destination, { ...JSON_LOOK, format, onClosed });
  }

  /** The logger; `null` before `open`. */
  get log(): Logger | null {
    return this.#log;
  }

  /** Number of lines that were lost because their reader was too slow or gone. */
  get lostLines(): number {
    const { droppedLines } = this.#main;
    const ofAccess = [...this.#access].reduce((sum, each) => sum + each.droppedLines, 0);
    return droppedLines + ofAccess + this.#earlierLostLines;
  }

  /** Reports in the log and on standard error that the process ends because of a bug. */
  reportBug(error: unknown, text: string): void {
    this.#log?.fatal({ err: error }, "ended by a bug");
    if (this.#log === null || this.#main !== this.#stderr) this.#report(text);
    this.flushSync();
  }

  /** Opens the files again after they were renamed. */
  reopen(): void {
    this.#main.reopen();
    for (const access of this.#access) access.reopen();
  }

  /** Writes all waiting lines synchronously. */
  flushSync(): void {
    this.#main.flushSync();
    for (const access of this.#access) access.flushSync();
    this.#stderr.flushSync();
  }

  readonly #report = (problem: string): void => this.#stderr.write(`${problem}\n`);
}

function refuseUnopenable(name: string, path: string): void {
  try {
    assertOpens(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `Cannot use ${name}: found ${path}, which cannot be opened (${reason}), expected a file that can be written`;
    throw new RuntimeError("ERR_CONFIG", message, { cause });
  }
}
