import { constants } from "node:os";
import { EXIT } from "../errors.ts";

/**
 * A second signal this soon is the first one again: `npm` and `timeout` pass on what the terminal or the process group
 * has already delivered.
 */
const SAME_SIGNAL_MS = 100;

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
  /** Called for a signal that has no meaning yet and would otherwise end the process. */
  onUnsupported: (signal: NodeJS.Signals) => void;
}

/**
 * Obeys signals: SIGTERM, SIGINT and SIGQUIT drain and exit 0, the second of them exits at once as the shell expects it
 * of a process that a signal ended; SIGHUP reloads; SIGUSR1 reopens the logs, as for Nginx (Node's own meaning of it,
 * opening the inspector, goes with that); SIGUSR2 does nothing.
 *
 * To be called before anything is started: until then each of them kills, and SIGUSR1 lets a debugger in.
 */
export function obeySignals(controls: Controls): void {
  let closingSinceMs: number | null = null;
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
  for (const signal of ["SIGTERM", "SIGINT", "SIGQUIT"] as const) process.on(signal, stop);
  process.on("SIGHUP", () => {
    if (closingSinceMs === null) controls.reload();
  });
  process.on("SIGUSR1", () => controls.reopenLogs());
  process.on("SIGUSR2", (signal) => controls.onUnsupported(signal));
}
