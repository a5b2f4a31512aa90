import { SCHEDULED_FIELDS, SCHEDULED_METHOD } from "../channel/messages.ts";
import type { ScheduledHandler } from "../handlers/site-routes.ts";
import type { Client, ExchangeId } from "../http/client.ts";
import { OwnClient } from "../http/own-client.ts";
import { isSource } from "../http/reply.ts";
import type { RunResult } from "./journal.ts";

export interface SendRunOptions {
  time: number;
  id: ExchangeId;
  /** Called when the run has failed with this status. */
  onFailure: (client: Client, status: number) => void;
}

/**
 * Gives a run to a worker, and returns its result. A run whose worker is lost goes to another worker, as the request of a
 * client does: a few times at most, and not if `config.replay` of the handler is false.
 */
export function sendRun(
  handler: ScheduledHandler,
  { time, id, onFailure }: SendRunOptions,
): Promise<RunResult> {
  const { cron } = handler.schedule;
  const fields = [
    [SCHEDULED_FIELDS.handler, String(handler.handler)],
    [SCHEDULED_FIELDS.cron, cron],
    [SCHEDULED_FIELDS.time, String(time)],
    // Says to the recovery of lost requests that it may run twice.
    ["idempotency-key", `${handler.id} ${time}`],
  ];
  const origin = "http://localhost";
  const target = `${handler.pattern}?scheduled-time=${time}`;
  return new Promise((resolve) => {
    const client = new OwnClient({
      id,
      isLogged: false,
      head: {
        method: SCHEDULED_METHOD,
        target,
        origin,
        fields: fields.map((field) => field.join("\n")).join("\n"),
        bodyBytes: 0,
        clientAddress: "127.0.0.1",
      },
      onReply({ status, body }) {
        if (isSource(body)) body.cancel();
        if (status >= 500) onFailure(client, status);
        resolve(toResult(status));
      },
    });
    handler.run(client, origin + target);
  });
}

function toResult(status: number): RunResult {
  switch (status) {
    case 204:
      return "done";
    case 500:
      return "failed";
    case 504:
      return "timed out";
    case 502:
      return "worker lost";
    default:
      return "refused";
  }
}
