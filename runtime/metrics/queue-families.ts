import type { QueueInfo } from "../control/operations.ts";
import type { Family, Sample } from "./family.ts";

const LABELS = ["queue"] as const;

/** Queues that handlers of this server receive. */
export const QUEUE_FAMILIES: readonly Family[] = [
  ofQueues({
    name: "waiting",
    type: "gauge",
    help: "Messages that are due and wait, over all servers. Counted every few seconds, as are delayed, in work and dead.",
    pick: ({ waiting }) => waiting,
  }),
  ofQueues({
    name: "delayed",
    type: "gauge",
    help: "Messages that are not due yet.",
    pick: ({ delayed }) => delayed,
  }),
  ofQueues({
    name: "in_work",
    type: "gauge",
    help: "Messages that a server has taken.",
    pick: ({ inWork }) => inWork,
  }),
  ofQueues({
    name: "dead",
    type: "gauge",
    help: "Messages in the dead-letter queue.",
    pick: ({ dead }) => dead,
  }),
  ofQueues({
    name: "acknowledged",
    type: "counter",
    help: "Messages that this server has run with success.",
    pick: ({ acknowledged }) => acknowledged,
  }),
  ofQueues({
    name: "retried",
    type: "counter",
    help: "Attempts of this server after which a message waits for the next one.",
    pick: ({ retried }) => retried,
  }),
  ofQueues({
    name: "buried",
    type: "counter",
    help: "Messages that this server has moved to the dead-letter queue.",
    pick: ({ buried }) => buried,
  }),
  ofQueues({
    name: "dropped",
    type: "counter",
    help: "Messages without a further attempt that this server has dropped, since the queue has no dead-letter queue.",
    pick: ({ dropped }) => dropped,
  }),
  {
    name: "edgicorn_message_batches",
    type: "counter",
    unit: null,
    labels: [...LABELS, "result"],
    help: "Batches of queue() that ended: done, failed, timed out, lost (with their worker) or refused (no worker got them).",
    *collect({ status }): Generator<Sample> {
      for (const { queue, results } of status.queues ?? []) {
        for (const [result, count] of Object.entries(results)) yield [[queue, result], count];
      }
    },
  },
];

function ofQueues({
  name,
  pick,
  ...rest
}: Pick<Family, "name" | "type" | "help"> & { pick: (queue: QueueInfo) => number }): Family {
  return {
    name: `edgicorn_messages_${name}`,
    unit: null,
    labels: LABELS,
    ...rest,
    *collect({ status }): Generator<Sample> {
      for (const each of status.queues ?? []) yield [[each.queue], pick(each)];
    },
  };
}
