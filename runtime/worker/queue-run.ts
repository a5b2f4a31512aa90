import { BODY_FOLLOWS, Kind, QUEUE_FIELDS } from "../channel/messages.ts";
import { decodeBatch, encodeVerdicts } from "../channel/queue-batch.ts";
import { RuntimeError } from "../lib/errors.ts";
import { parseFields } from "../web/fields.ts";
import { PrimaryRun } from "./primary-run.ts";
import { openBatch, type OpenBatch } from "./queue-batch.ts";

/** One batch of `queue()` in a worker. Its response has the words of the handler on its messages. */
export class QueueRun extends PrimaryRun {
  async start(): Promise<void> {
    const { message, route, context, channel } = this.options;
    const fields = parseFields(message[6]);
    const target = route.queues?.get(Number(fields.get(QUEUE_FIELDS.handler)));
    const queue = fields.get(QUEUE_FIELDS.queue) ?? "";
    let opened: OpenBatch | null = null;
    let status = 200;
    try {
      const body = message[9];
      if (target === undefined || body === BODY_FOLLOWS || body === null) {
        const found = target === undefined ? `${route.pattern} has none` : "it has no batch";
        throw new RuntimeError("ERR_PROTOCOL", `Cannot run queue(): ${found}`);
      }
      opened = openBatch(decodeBatch(body), { queue, signal: this.signal });
      await target.call(opened.batch, context.env, context);
    } catch (error) {
      status = 500;
      const file = target?.source ?? "";
      this.noteError(error, { name: "queue()", file, fields: { queue } });
    }
    if (this.signal.aborted) return;
    const body = encodeVerdicts(opened?.verdicts ?? []);
    channel.send([Kind.response, this.id, status, "", "", body]);
  }
}
