import { constants } from "node:os";
import { EXIT } from "../errors.ts";

/**
 * A second signal this soon is the first one again: `npm` and `timeout` pass on what the terminal or the process group
 * has already delivered.
 */
export const SAME_SIGNAL_MS = 100;

/** What a signal may ask for. */
export interface Controls {
  /** Finish what is in flight, then end. */
  close: () => Promise<void>;
  /** Called when the first signal of two arrives. */
  onClosing: (signal: NodeJS.Signals) => void;
  /** Called before the process ends in haste. */
  onForced: (signal: NodeJS.Signals) => void;
  reload: () => void;
  reopenLogs: () => void;
  /** One worker more or less. */
  resize: (change: 1 | -1, signal: NodeJS.Signals) => void;
  /** Start the program anew, on the same ports, and leave them to it. */
  upgrade: () => void;
}

/** Takes all signals but SIGUSR2 that come from now on. */
export type PassOn = (signal: NodeJS.Signals) => void;

const ENDING = ["SIGTERM", "SIGINT", "SIGQUIT"] as const;

/** Whether a signal asks for the end. */
export function isEnding(signal: NodeJS.Signals): boolean {
  const names: readonly NodeJS.Signals[] = ENDING;
  return names.includes(signal);
}

/**
 * Obeys signals: SIGTERM, SIGINT and SIGQUIT drain and exit 0, the second of them exits at once as the shell expects it
 * of a process that a signal ended; SIGHUP reloads; SIGUSR1 reopens the logs, as for Nginx (Node's own meaning of it,
 * opening the inspector, goes with that); SIGUSR2 upgrades; SIGTTIN and SIGTTOU mean a worker more and less, as for
 * Gunicorn.
 *
 * To be called before anything is started: until then each of them kills, and SIGUSR1 lets a debugger in.
 *
 * @returns Sets who takes signals instead, once another process serves in place of this one.
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
