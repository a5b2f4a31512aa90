import { constants } from "node:os";
import { EXIT } from "../lib/errors.ts";

/**
 * A second signal this soon is the first one again: `npm` and `timeout` pass on a signal that the terminal or the
 * process group has already delivered.
 */
export const SAME_SIGNAL_MS = 100;

/** The actions behind the signals. */
export interface Controls {
  /** Finish all exchanges in flight, then end. */
  close: () => Promise<void>;
  /** Called when the first signal of two arrives. */
  onClosing: (signal: NodeJS.Signals) => void;
  /** Called before the process ends at once. */
  onForced: (signal: NodeJS.Signals) => void;
  reload: () => void;
  reopenLogs: () => void;
  /** Add or remove one worker. */
  resize: (change: 1 | -1, signal: NodeJS.Signals) => void;
  /** Start the program again, on the same ports, and leave them to it. */
  upgrade: () => void;
}

/** Takes all further signals but SIGUSR2. */
export type PassOn = (signal: NodeJS.Signals) => void;

const ENDING = ["SIGTERM", "SIGINT", "SIGQUIT"] as const;

/** Tells whether a signal asks for the end. */
export function isEnding(signal: NodeJS.Signals): boolean {
  const names: readonly NodeJS.Signals[] = ENDING;
  return names.includes(signal);
}

/**
 * Obeys signals. SIGTERM, SIGINT and SIGQUIT drain and exit 0. A second one of them exits at once, with the code that a
 * shell expects of a process that a signal ended. SIGHUP reloads. SIGUSR1 reopens the logs, as for Nginx, and so loses
 * its meaning for Node, which is to open the inspector. SIGUSR2 upgrades. SIGTTIN and SIGTTOU mean a worker more and
 * less, as for Gunicorn.
 *
 * Must be called before anything is started: until then each of these signals kills, and SIGUSR1 lets a debugger in.
 *
 * @returns A function that sets another receiver of the signals, once another process serves in place of this one.
 */
export function obeySignals(controls: Controls): (passOn: PassOn) => void {
  let closingSinceMs: number | null = null;
  let passOn: PassOn | null = null;
  const on = (signal: NodeJS.Signals, obey: (signal: NodeJS.Signals) => void): void => {
    process.on(signal, () => {
      if (passOn === null) obey(signal);
      else passOn(signal);
    });
  };
  const stop = (signal: NodeJS.Signals): void => {
    if (closingSinceMs !== null) {
      if (performance.now() - closingSinceMs < SAME_SIGNAL_MS) return;
      controls.onForced(signal);
      // Workers end with their channel.
      process.exit(128 + constants.signals[signal]);
    }
    closingSinceMs = performance.now();
    controls.onClosing(signal);
    controls.close().then(
      () => process.exit(EXIT.drained),
      (error: unknown) => {
        process.stderr.write(`Cannot stop in order: ${String(error)}\n`);
        process.exit(EXIT.failed);
      },
    );
  };
  for (const signal of ENDING) on(signal, stop);
  on("SIGHUP", () => {
    if (closingSinceMs === null) controls.reload();
  });
  on("SIGUSR1", () => controls.reopenLogs());
  on("SIGTTIN", (signal) => controls.resize(1, signal));
  on("SIGTTOU", (signal) => controls.resize(-1, signal));
  process.on("SIGUSR2", () => {
    if (closingSinceMs === null) controls.upgrade();
  });
  return (next) => {
    passOn = next;
  };
}
