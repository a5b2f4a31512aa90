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
 * Whether the user has an opinion on the inspector: wants to debug, or wants SIGUSR1 not to open it. Then workers start
 * as Node would start them.
 */
export function configuresInspector(options: NodeOptions): boolean {
  return allOptions(options).some((option) => INSPECTOR_SETTING.test(option));
}

const INSPECTOR_SETTING = /^--(?:inspect|debug-port|disable-sigusr1)/;

/** Whether the user debugs: at a breakpoint a worker is as silent as one that hangs. */
export function asksForDebugger(options: NodeOptions): boolean {
  return allOptions(options).some((option) => DEBUGGER.test(option));
}

const DEBUGGER = /^--inspect(?:-brk|-wait)?(?:=|$)/;

function allOptions({ execArgv, nodeOptions }: NodeOptions): string[] {
  return [...execArgv, ...(nodeOptions ?? "").split(/[\s"]+/)];
}
