import { constants } from "node:os";
import { EXIT } from "../lib/errors.ts";

/**
 * A second signal this soon is the first one again: `npm` and `timeout` pass on a signal that the terminal or the
 * process group has already delivered.
 */
const SAME_SIGNAL_MS = 100;

/** The two ways in which this process ends by a signal. */
export interface Ends {
  /** Finishes all exchanges in flight. Resolves with the exit code. */
  close: (signal: NodeJS.Signals) => Promise<number>;
  /** Ends everything that would survive the end of this process, which follows at once. */
  force: (signal: NodeJS.Signals) => Promise<void> | void;
}

/** The actions behind the signals. */
export interface Controls extends Ends {
  reload: () => void;
  reopenLogs: () => void;
  /** Adds or removes one worker. */
  resize: (change: 1 | -1) => void;
  /** Starts the program anew on the same ports, and leaves them to the new process. */
  upgrade: () => void;
}

/** Obeys signals once another process serves in the place of this one. */
export interface Deputy extends Ends {
  /** Takes all other signals but SIGUSR2. */
  pass: (signal: NodeJS.Signals) => void;
}

/**
 * Obeys signals. SIGTERM, SIGINT and SIGQUIT drain and exit 0. A second one of them exits at once, with the code that a
 * shell expects of a process that a signal ended. SIGHUP reloads. SIGUSR1 reopens the logs, as for Nginx, and so loses
 * its meaning for Node, which is to open the inspector. SIGUSR2 upgrades. SIGTTIN and SIGTTOU mean a worker more and
 * less, as for Gunicorn.
 *
 * Must be called before anything is started: until then each of these signals kills, and SIGUSR1 lets a debugger in.
 *
 * @returns A function that sets the deputy.
 */
export function obeySignals(controls: Controls): (deputy: Deputy) => void {
  let closingSinceMs: number | null = null;
  let deputy: Deputy | null = null;
  const end = async (signal: NodeJS.Signals): Promise<number> => {
    const { close, force } = deputy ?? controls;
    if (closingSinceMs === null) {
      closingSinceMs = performance.now();
      return close(signal);
    }
    await force(signal);
    // Workers end with their channel.
    return exitCodeOf({ code: null, signal });
  };
  for (const signal of ["SIGTERM", "SIGINT", "SIGQUIT"] as const) {
    process.on(signal, () => {
      if (closingSinceMs !== null && performance.now() - closingSinceMs < SAME_SIGNAL_MS) return;
      end(signal).then(
        (code) => process.exit(code),
        (error: unknown) => {
          process.stderr.write(`Cannot stop in order: ${String(error)}\n`);
          process.exit(EXIT.failed);
        },
      );
    });
  }
  const obey = (signal: NodeJS.Signals, act: () => void): void => {
    process.on(signal, () => {
      if (deputy === null) act();
      else deputy.pass(signal);
    });
  };
  obey("SIGHUP", () => {
    if (closingSinceMs === null) controls.reload();
  });
  obey("SIGUSR1", () => controls.reopenLogs());
  obey("SIGTTIN", () => controls.resize(1));
  obey("SIGTTOU", () => controls.resize(-1));
  process.on("SIGUSR2", () => {
    if (closingSinceMs === null) controls.upgrade();
  });
  return (next) => {
    deputy = next;
  };
}

/** The end of a process, as `node:child_process` reports it. */
export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** Returns the exit code of a process that stands for another one, as a shell does. */
export function exitCodeOf({ code, signal }: Exit): number {
  if (signal !== null) return 128 + constants.signals[signal];
  return code ?? EXIT.failed;
}
