import type { ScheduledEvent } from "../api.ts";
import { Kind, SCHEDULED_FIELDS } from "../channel/messages.ts";
import { RuntimeError } from "../lib/errors.ts";
import { parseFields } from "../web/fields.ts";
import { PrimaryRun } from "./primary-run.ts";

/** One run of `scheduled()` in a worker. Its response has no body. */
export class ScheduledRun extends PrimaryRun {
  async start(): Promise<void> {
    const { message, route, context, channel } = this.options;
    const fields = parseFields(message[6]);
    const handler = Number(fields.get(SCHEDULED_FIELDS.handler));
    const target = route.scheduled?.get(handler);
    const event: ScheduledEvent = {
      type: "scheduled",
      cron: fields.get(SCHEDULED_FIELDS.cron) ?? "",
      scheduledTime: Number(fields.get(SCHEDULED_FIELDS.time)),
      signal: this.signal,
      noRetry: () => {},
    };
    let status = 204;
    try {
      if (target === undefined) {
        const problem = `Cannot run scheduled(): ${route.pattern} has none`;
        throw new RuntimeError("ERR_PROTOCOL", problem);
      }
      await target.call(event, context.env, context);
    } catch (error) {
      status = 500;
      const fieldsOfLog = { cron: event.cron };
      const file = target?.source ?? "";
      this.noteError(error, { name: "scheduled()", file, fields: fieldsOfLog });
    }
    if (!this.signal.aborted) channel.send([Kind.response, this.id, status, "", "", null]);
  }
}
