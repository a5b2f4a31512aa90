import { INSPECTOR_OPTION, INSPECTOR_PORT_OPTION } from "../supervise/hang/inspector-options.ts";

/**
 * Leaves SIGUSR1 to Node, which opens its inspector even when the event loop is blocked, so that the primary can find
 * out where. No other program should find the inspector open. Without the primary's option the signal does nothing.
 *
 * Must be called once, before this process can get signals.
 *
 * @returns A function that closes an open inspector. Call it regularly: a process that can call it is not blocked, so
 *   the signal was not meant for it. A log rotation by `systemctl kill -s USR1` reaches all processes of a service.
 */
export function guardInspector(): () => void {
  if (!process.execArgv.includes(INSPECTOR_OPTION)) {
    process.on("SIGUSR1", () => {});
    return () => {};
  }
  // Children of handlers start with the options of this process, and threads refuse these.
  process.execArgv = process.execArgv.filter(
    (option) => option !== INSPECTOR_OPTION && option !== INSPECTOR_PORT_OPTION,
  );
  return () => {
    // 0 until it is opened: then Node puts the port here that it got.
    if (process.debugPort === 0) return;
    // Not imported: loading it takes some ms, and a Node that was built without it does not have it.
    process.getBuiltinModule("node:inspector").close();
    process.debugPort = 0;
  };
}
