import type { Health } from "./health.ts";

/**
 * Returns the time until the next probe of a server; `null`: it is not probed. Pure.
 *
 * A server without checks is probed only while it is out. The probes of a server that is out do not become rarer, since a probe
 * costs little.
 *
 * @param options.when `probed`: a probe has just ended. `changed`: the kind of the health has changed. `first`: the server is new.
 * @param options.checkMs Interval of the checks; `null`: there are none.
 */
export function nextProbeMs(
  health: Health,
  {
    when,
    outTimeMs,
    checkMs,
    nowMs,
  }: {
    when: "first" | "changed" | "probed";
    outTimeMs: number;
    checkMs: number | null;
    nowMs: number;
  },
): number | null {
  switch (health.kind) {
    case "up":
    case "trial":
      return checkMs;
    case "out":
      return Math.max(0, health.untilMs - nowMs);
    case "probing":
      return when === "probed" ? (checkMs ?? outTimeMs) : 0;
    default:
      return null;
  }
}
