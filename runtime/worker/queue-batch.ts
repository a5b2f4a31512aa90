import type { Message, MessageBatch } from "../api.ts";
import { MAX_RETRY_DELAY_SECONDS, type SentMessage, type Verdict } from "../channel/queue-batch.ts";
import { decodeBody } from "../lib/message-body.ts";

/** A batch for a handler, and the words of the handler on its messages. */
export interface OpenBatch {
  readonly batch: MessageBatch;
  /** The last word on each message; `null`: none. */
  readonly verdicts: readonly Verdict[];
}

/**
 * Returns the batch that `queue()` of a handler gets, with the shape of `MessageBatch` of Workers. The first word on a message
 * counts: a later `ack()` or `retry()` changes nothing.
 *
 * @throws TypeError, SyntaxError and the like for a body that another program wrote.
 */
export function openBatch(
  sent: readonly SentMessage[],
  { queue, signal }: { queue: string; signal: AbortSignal },
): OpenBatch {
  const verdicts: Verdict[] = sent.map(() => null);
  const say = (index: number, verdict: Verdict): void => {
    verdicts[index] ??= verdict;
  };
  const messages = sent.map(({ id, sentMs, attempts, contentType, body }, index): Message => {
    return Object.freeze({
      id,
      timestamp: new Date(sentMs),
      attempts,
      body: decodeBody(body, contentType),
      ack: () => say(index, { kind: "acknowledge" }),
      retry: (options?: { delaySeconds?: number }) => say(index, toRetry(options)),
    });
  });
  const batch: MessageBatch = Object.freeze({
    queue,
    messages: Object.freeze(messages),
    signal,
    ackAll: () => verdicts.forEach((_, index) => say(index, { kind: "acknowledge" })),
    retryAll(options?: { delaySeconds?: number }) {
      const verdict = toRetry(options);
      verdicts.forEach((_, index) => say(index, verdict));
    },
  });
  return { batch, verdicts };
}

function toRetry({ delaySeconds }: { delaySeconds?: number } = {}): Verdict {
  if (delaySeconds === undefined) return { kind: "retry", delayMs: null };
  const isWhole = Number.isInteger(delaySeconds);
  if (isWhole && delaySeconds >= 0 && delaySeconds <= MAX_RETRY_DELAY_SECONDS) {
    return { kind: "retry", delayMs: delaySeconds * 1_000 };
  }
  throw new TypeError(
    `Cannot retry with delaySeconds ${String(delaySeconds)}, expected a whole number from 0 to ${MAX_RETRY_DELAY_SECONDS}`,
  );
}
