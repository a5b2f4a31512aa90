import type { QueueConfig } from "../config/queue-config.ts";
import type { BindingSetting, StoreSetting } from "../lib/binding-settings.ts";
import { pickNearest } from "../lib/nearest.ts";

/** A handler that receives a queue: its file and the queue. */
export interface Receiver {
  readonly file: string;
  readonly config: Pick<QueueConfig, "name" | "deadLetter">;
}

/**
 * Returns a warning for each queue that has one side only, because its name is probably misspelt: a handler receives it and no
 * binding sends to it, or the other way round. Other servers may receive a queue in Redis, so such a queue counts only if its name
 * is near to that of a queue without a sender. Queues of dead letters need no receiver.
 */
export function findMisspeltQueues({
  receivers,
  bindings,
  stores,
}: {
  receivers: readonly Receiver[];
  bindings: readonly BindingSetting[];
  stores: readonly StoreSetting[];
}): string[] {
  const sent = bindings.flatMap(({ name, value }) =>
    value.kind === "queue" ? [{ name, value }] : [],
  );
  const dead = receivers.flatMap(({ config: { deadLetter } }) => deadLetter ?? []);
  const filled = new Set([...sent.map(({ value }) => value.space), ...dead]);
  const received = new Set(receivers.map(({ config }) => config.name));
  const silent = receivers.filter(({ config }) => !filled.has(config.name));
  const isShared = (store: string): boolean =>
    stores.some(({ name, kind }) => name === store && kind === "redis");
  const unread = sent.filter(({ value: { space, store } }) => {
    if (received.has(space) || dead.includes(space)) return false;
    return (
      !isShared(store) ||
      pickNearest(
        space,
        silent.map(({ config }) => config.name),
      ) !== null
    );
  });
  return [
    ...silent.map(({ file, config: { name } }) => {
      const known = [...filled];
      const expected =
        known.length === 0
          ? `a binding such as { queue: "${name}" }`
          : `a binding of this queue, or one of these queues: ${known.join(", ")}`;
      return `${file} gets no messages: found no binding that sends to the queue "${name}"${guess(name, known)}, expected ${expected}`;
    }),
    ...unread.map(({ name, value: { space } }) => {
      const expected = `a handler with config.queue "${space}"`;
      return `the messages of bindings.${name} wait forever: found no handler that receives the queue "${space}"${guess(space, [...received])}, expected ${expected}`;
    }),
  ];
}

function guess(name: string, known: readonly string[]): string {
  const near = pickNearest(name, known);
  return near === null ? "" : ` (did you mean "${near}"?)`;
}
