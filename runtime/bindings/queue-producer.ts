import { encodeBody, toContentType } from "../lib/message-body.ts";
import type { ContentType } from "../lib/content-types.ts";
import { MessageQueue, type NewMessage } from "../stores/message-queue.ts";
import type { Store } from "../stores/store.ts";

export interface QueueSendOptions {
  /** Time until a handler gets the message, in whole seconds up to a day. Default: 0. */
  delaySeconds?: number;
  /**
   * Form of the body: `"v8"` for any value that `structuredClone` can copy (the default), `"json"`, `"text"`, or `"bytes"` for
   * an ArrayBuffer or a view of one.
   */
  contentType?: ContentType;
}

/** A message of a batch. */
export interface MessageSendRequest<Body = unknown> extends QueueSendOptions {
  body: Body;
}

/** Sends messages to a queue, with the methods of `Queue` of Workers. */
export interface Queue<Body = unknown> {
  /**
   * Adds a message. Resolves when the store has it.
   *
   * @throws Error with the code `ERR_STORE` when the queue is full, or the store fails. The message may be in the queue then.
   */
  send(body: Body, options?: QueueSendOptions): Promise<void>;
  /** Adds up to 100 messages of 256 KiB together. After a failure, some of them may be in the queue. */
  sendBatch(
    messages: Iterable<MessageSendRequest<Body>>,
    options?: Pick<QueueSendOptions, "delaySeconds">,
  ): Promise<void>;
}

/** Longest body of a message, in bytes. */
export const MAX_MESSAGE_BYTES = 128 * 1024;

/** Most bytes of all bodies of a batch. */
const MAX_BATCH_BYTES = 256 * 1024;
const MAX_BATCH = 100;
const MAX_DELAY_SECONDS = 86_400;

/** Returns the queue of a binding. */
export function createQueueProducer(
  store: Store,
  {
    name,
    mostMessages,
    now = Date.now,
  }: { name: string; mostMessages: number; now?: () => number },
): Queue {
  // It takes no messages, so no lease has its name.
  const queue = new MessageQueue(store, { name, mostMessages, owner: "", now });
  return Object.freeze({
    send: async (body: unknown, options: QueueSendOptions = {}) => {
      await queue.send([toMessage(body, options)]);
    },
    sendBatch: async (
      messages: Iterable<MessageSendRequest>,
      { delaySeconds }: Pick<QueueSendOptions, "delaySeconds"> = {},
    ) => {
      const batch: NewMessage[] = [];
      let bytes = 0;
      for (const { body, ...options } of messages) {
        const own = delaySeconds === undefined ? options : { delaySeconds, ...options };
        const message = toMessage(body, own);
        batch.push(message);
        bytes += message.body.length;
        if (batch.length > MAX_BATCH || bytes > MAX_BATCH_BYTES) {
          throw new TypeError(
            `Cannot send a batch: found at least ${batch.length} messages with ${bytes} bytes, expected at most ${MAX_BATCH} messages with ${MAX_BATCH_BYTES} bytes`,
          );
        }
      }
      if (batch.length > 0) await queue.send(batch);
    },
  });
}

function toMessage(body: unknown, options: QueueSendOptions): NewMessage {
  const contentType = toContentType(options.contentType);
  const bytes = encodeBody(body, contentType);
  if (bytes.length > MAX_MESSAGE_BYTES) {
    throw new TypeError(
      `Cannot send a message of ${bytes.length} bytes, expected at most ${MAX_MESSAGE_BYTES}: put the data into a file or a database, and send its name`,
    );
  }
  return { body: bytes, contentType, delayMs: toDelayMs(options.delaySeconds) };
}

function toDelayMs(delaySeconds: number = 0): number {
  if (Number.isInteger(delaySeconds) && delaySeconds >= 0 && delaySeconds <= MAX_DELAY_SECONDS) {
    return delaySeconds * 1_000;
  }
  throw new TypeError(
    `Cannot use delaySeconds ${String(delaySeconds)}, expected a whole number from 0 to ${MAX_DELAY_SECONDS}`,
  );
}
