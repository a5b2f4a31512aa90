import { QUEUE_FIELDS, QUEUE_METHOD } from "../channel/messages.ts";
import { encodeBatch, parseVerdicts, type Verdict } from "../channel/queue-batch.ts";
import type { QueueHandler } from "../handlers/site-routes.ts";
import type { Client, ExchangeId } from "../http/client.ts";
import { OwnClient } from "../http/own-client.ts";
import { isSource, type Reply } from "../http/reply.ts";
import type { TakenMessage } from "../stores/message-queue.ts";
import type { BatchResult } from "./decide.ts";

export interface SendBatchOptions {
  id: ExchangeId;
  /** Called when the batch has failed with this status. */
  onFailure: (client: Client, status: number) => void;
}

/** The outcome of a batch, and the words of the handler on its messages. */
export interface BatchOutcome {
  readonly result: BatchResult;
  readonly verdicts: readonly Verdict[];
}

/** Gives a batch to a worker, and returns its outcome. No other worker gets it when the worker is lost. */
export function sendBatch(
  handler: QueueHandler,
  messages: readonly TakenMessage[],
  { id, onFailure }: SendBatchOptions,
): Promise<BatchOutcome> {
  const body = encodeBatch(messages);
  const fields = [
    [QUEUE_FIELDS.handler, String(handler.handler)],
    [QUEUE_FIELDS.queue, handler.config.name],
  ];
  const origin = "http://localhost";
  const target = `${handler.pattern}?queue=${handler.config.name}`;
  return new Promise((resolve) => {
    const client = new OwnClient({
      id,
      isLogged: false,
      head: {
        method: QUEUE_METHOD,
        target,
        origin,
        fields: fields.map((field) => field.join("\n")).join("\n"),
        bodyBytes: body.length,
        clientAddress: "127.0.0.1",
      },
      body,
      onReply(reply) {
        if (reply.status >= 500) onFailure(client, reply.status);
        resolve(toOutcome(reply, messages.length));
      },
    });
    handler.run(client, origin + target);
  });
}

function toOutcome({ status, body }: Reply, length: number): BatchOutcome {
  let text = "";
  if (isSource(body)) body.cancel();
  else if (body !== null) text = typeof body === "string" ? body : Buffer.from(body).toString();
  const verdicts = parseVerdicts(text, length);
  const none = Array.from({ length }, () => null);
  switch (status) {
    case 200:
      // A worker that answers otherwise has said nothing about the messages.
      return verdicts === null
        ? { result: "failed", verdicts: none }
        : { result: "done", verdicts };
    case 500:
      return { result: "failed", verdicts: verdicts ?? none };
    case 504:
      return { result: "timed out", verdicts: none };
    case 502:
      return { result: "lost", verdicts: none };
    default:
      return { result: "refused", verdicts: none };
  }
}
