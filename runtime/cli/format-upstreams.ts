import type { UpstreamGroupInfo, UpstreamServerInfo } from "../control/operations.ts";
import { formatTable } from "./format-table.ts";

/** Formats the groups of upstream servers: a line for each server, and for names without addresses. */
export function formatUpstreams(groups: readonly UpstreamGroupInfo[]): string[] {
  return [
    ...formatTable(groups.flatMap(({ name, servers }) => servers.map((each) => toRow(name, each)))),
    ...groups.flatMap(({ name, queued, unresolved }) => [
      ...(queued === 0 ? [] : [`upstream ${name}: ${queued} wait for a server`]),
      ...(unresolved.length === 0
        ? []
        : [`upstream ${name}: cannot resolve ${unresolved.join(", ")}`]),
    ]),
  ];
}

function toRow(group: string, server: UpstreamServerInfo): string[] {
  const { name, state, outMs, backup, inFlight, requests, failures, lastReason } = server;
  const since = outMs === null ? "" : ` for ${formatSeconds(outMs)}`;
  const last = lastReason === null ? "" : `, last: ${lastReason}`;
  return [
    `upstream ${group}`,
    backup ? `${name} (backup)` : name,
    `${state}${since}`,
    `${inFlight} in flight`,
    `${requests} requests, ${failures} failed${last}`,
  ];
}

function formatSeconds(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
}
