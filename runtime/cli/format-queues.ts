import type { QueueInfo } from "../control/operations.ts";
import { formatTable } from "./format-table.ts";

const HEAD = [
  "queue",
  "route",
  "waiting",
  "delayed",
  "in work",
  "dead",
  "done",
  "retried",
  "dropped",
];

/** Formats the queues that handlers receive: lines of a table. */
export function formatQueues(queues: readonly QueueInfo[]): string[] {
  const rows = queues.map((each) => [
    each.queue,
    each.route,
    ...[each.waiting, each.delayed, each.inWork, each.dead].map(String),
    ...[each.acknowledged, each.retried, each.dropped].map(String),
  ]);
  return formatTable([HEAD, ...rows]);
}
