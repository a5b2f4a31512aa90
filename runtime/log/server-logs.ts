import type { Config } from "../config.ts";
import { RuntimeError } from "../errors.ts";
import {
  createLogger,
  JSON_LOOK,
  type Logger,
  type LogLook,
  pickLogLook,
  tellLosses,
} from "../log.ts";
import { type AccessLog, createAccessLog } from "./access-log.ts";
import type { LogDestination } from "./destination.ts";
import { assertOpens, openLogPath, openStderr } from "./open-destination.ts";

/**
 * All that a server logs to: standard error or a file, and another file for access lines where there is one. Opened for as
 * long as the process lives; what waits is written at its exit.
 */
export class ServerLogs {
  readonly #stderr = openStderr();
  #main: LogDestination = this.#stderr;
  #look: LogLook = JSON_LOOK;
  #log: Logger | null = null;
  /** The file of the access log, if it has one. */
  #access: LogDestination | null = null;
  /** Of files that were closed since. */
  #earlierLostLines = 0;

  /**
   * Opens what the config asks for, and makes the logger.
   *
   * @throws RuntimeError `ERR_CONFIG` when a file cannot be opened.
   */
  async open(config: Config): Promise<Logger> {
    const { logFile, logFormat, accessLog } = config;
    if (logFile !== null) refuseUnopenable("logFile", logFile);
    if (typeof accessLog === "string") refuseUnopenable("accessLog", accessLog);
    const terminal = { isTTY: process.stderr.isTTY, env: process.env };
    this.#look = logFile === null ? pickLogLook(logFormat, terminal) : JSON_LOOK;
    if (logFile !== null) this.#main = openLogPath(logFile, { tell: this.#tell });
    this.#log = await createLogger(config, this.#main, this.#look);
    tellLosses(this.#log, this.#main);
    return this.#log;
  }

  /** Starts access lines: in the log, or in a file of their own. To be called once it is open; one of them at a time. */
  createAccessLog(target: true | string): AccessLog {
    if (target === true) return createAccessLog(this.#main, this.#look);
    const destination = openLogPath(target, { tell: this.#tell });
    this.#access = destination;
    if (this.#log !== null) tellLosses(this.#log, destination);
    const onClosed = (): void => {
      if (this.#access === destination) this.#access = null;
      void destination.close().then(() => (this.#earlierLostLines += destination.droppedLines));
    };
    return createAccessLog(destination, { ...JSON_LOOK, onClosed });
  }

  /** How many lines were lost so far, because nothing took them. */
  get lostLines(): number {
    const { droppedLines } = this.#main;
    return droppedLines + (this.#access?.droppedLines ?? 0) + this.#earlierLostLines;
  }

  /** Says that the process ends for a bug: in the log, and to whoever started it. */
  reportBug(error: unknown, text: string): void {
    this.#log?.fatal({ err: error }, "ended by a bug");
    if (this.#log === null || this.#main !== this.#stderr) this.#tell(text);
    this.flushSync();
  }

  /** Opens the files anew, after they were renamed. */
  reopen(): void {
    this.#main.reopen();
    this.#access?.reopen();
  }

  /** Writes what is waiting, blocking. */
  flushSync(): void {
    this.#main.flushSync();
    this.#access?.flushSync();
    this.#stderr.flushSync();
  }

  readonly #tell = (problem: string): void => this.#stderr.write(`${problem}\n`);
}

function refuseUnopenable(name: string, path: string): void {
  try {
    assertOpens(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `Cannot use ${name}: found that ${path} cannot be opened (${reason}), expected a file that can be written`;
    throw new RuntimeError("ERR_CONFIG", message, { cause });
  }
}
