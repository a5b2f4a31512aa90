/**
 * A Node option for each worker: SIGUSR1 opens the inspector for the primary alone, on the loopback address and any
 * free port (`node:cluster` adds `--inspect-port`). Only clients at that port learn its URL, which is not printed to
 * the log.
 */
export const INSPECTOR_OPTION = "--inspect-publish-uid=http";

/** `node:cluster`, which is told to use port 0, adds this option. */
export const INSPECTOR_PORT_OPTION = "--inspect-port=0";

/** The options with which Node was started. */
export interface NodeOptions {
  execArgv: readonly string[];
  /** `NODE_OPTIONS` of the environment. */
  nodeOptions: string | undefined;
}

/**
 * Tells whether the user configures the inspector: to debug, or to keep SIGUSR1 from opening it. Then workers start
 * with the user's options alone.
 */
export function configuresInspector(options: NodeOptions): boolean {
  return allOptions(options).some((option) => INSPECTOR_SETTING.test(option));
}

const INSPECTOR_SETTING = /^--(?:inspect|debug-port|disable-sigusr1)/;

/** Tells whether the user debugs. A worker at a breakpoint is as silent as a hung worker. */
export function asksForDebugger(options: NodeOptions): boolean {
  return allOptions(options).some((option) => DEBUGGER.test(option));
}

const DEBUGGER = /^--inspect(?:-brk|-wait)?(?:=|$)/;

function allOptions({ execArgv, nodeOptions }: NodeOptions): string[] {
  return [...execArgv, ...(nodeOptions ?? "").split(/[\s"]+/)];
}
