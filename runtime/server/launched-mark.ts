import { LAUNCHED_VARIABLE } from "../lib/launched-variable.ts";

/** Returns whether a process of root has started this one as another user, and removes the mark, which workers must not see. */
export function takeLaunchedMark(env: NodeJS.ProcessEnv): boolean {
  const mark = env[LAUNCHED_VARIABLE];
  delete env[LAUNCHED_VARIABLE];
  return mark !== undefined;
}
