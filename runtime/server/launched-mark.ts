import { LAUNCHED_VARIABLE } from "../lib/launched-variable.ts";

/**
 * Returns whether a process of root has started this one as another user, and removes the mark, which workers must not see.
 *
 * @param options.onOrphaned That process is gone. It is called once. The kernel's signal for this (PR_SET_PDEATHSIG) comes
 *   once for each thread of the parent, and the second SIGTERM would end this process at once.
 */
export function takeLaunchedMark({ onOrphaned }: { onOrphaned: () => void }): boolean {
  const mark = process.env[LAUNCHED_VARIABLE];
  delete process.env[LAUNCHED_VARIABLE];
  if (mark === undefined || process.send === undefined) return false;
  process.once("disconnect", onOrphaned);
  // The open channel alone does not keep this process alive.
  process.channel?.unref();
  return true;
}
