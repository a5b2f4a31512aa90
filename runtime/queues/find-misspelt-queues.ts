import type { QueueConfig } from "../config/queue-config.ts";
import type { BindingSetting, StoreSetting } from "../lib/binding-settings.ts";
import { pickNearest } from "../lib/nearest.ts";
import { findQueue } from "./find-queue.ts";

/** A handler that receives a queue: its file and the queue. */
export interface Receiver {
  readonly file: string;
  readonly config: Pick<QueueConfig, "name" | "deadLetter">;
}

/** Receivers, and the settings that queues need. */
interface Setup<R extends Receiver = Receiver> {
  receivers: readonly R[];
  bindings: readonly BindingSetting[];
  stores: readonly StoreSetting[];
}

/** A receiver whose queue gets no messages. */
export interface SilentReceiver<R extends Receiver = Receiver> {
  readonly receiver: R;
  /** The queues that get messages: its name is probably one of them. */
  readonly known: readonly string[];
}

/**
 * Returns the receivers to whose queues nothing sends: no binding, and no queue with a sender, as its dead letters. Other servers may
 * send to a queue in Redis, so such a receiver counts only if its name is near to that of a queue without a receiver.
 */
export function findSilentReceivers<R extends Receiver>(setup: Setup<R>): SilentReceiver<R>[] {
  const known = findKnown(setup);
  const received = new Set(setup.receivers.map(({ config }) => config.name));
  const unread = known.filter((name) => !received.has(name));
  return findUnsent(setup).flatMap(({ receiver, isShared }) => {
    const isSilent = !isShared || pickNearest(receiver.config.name, unread) !== null;
    return isSilent ? [{ receiver, known }] : [];
  });
}

/**
 * Returns a warning for each queue that has one side only, because its name is probably misspelt: a handler receives it and no
 * binding sends to it, or the other way round. Other servers may have the other side of a queue in Redis, so such a queue counts only
 * if its name is near to that of a queue that lacks the other side. Queues of dead letters need no receiver.
 */
export function findMisspeltQueues(setup: Setup): string[] {
  const { receivers, bindings, stores } = setup;
  const unsent = findUnsent(setup).map(({ receiver }) => receiver.config.name);
  const dead = receivers.flatMap(({ config: { deadLetter } }) => deadLetter ?? []);
  const received = new Set(receivers.map(({ config }) => config.name));
  const isShared = (store: string): boolean =>
    stores.some(({ name, kind }) => name === store && kind === "redis");
  const unread = findSent(bindings).filter(({ value: { space, store } }) => {
    if (received.has(space) || dead.includes(space)) return false;
    return !isShared(store) || pickNearest(space, unsent) !== null;
  });
  return [
    ...findSilentReceivers(setup).map(({ receiver: { file, config }, known }) => {
      const { name } = config;
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

/** Returns the receivers to whose queues this server does not send. `isShared`: other servers may. */
function findUnsent<R extends Receiver>({
  receivers,
  bindings,
  stores,
}: Setup<R>): { receiver: R; isShared: boolean }[] {
  const consumers = receivers.map(({ config }) => config);
  return receivers.flatMap((receiver) => {
    const { store, hasSender } = findQueue(receiver.config.name, { bindings, stores, consumers });
    return hasSender ? [] : [{ receiver, isShared: store.kind === "redis" }];
  });
}

/** Returns the names of the queues to which this server sends, messages or dead letters. */
function findKnown({ receivers, bindings, stores }: Setup): string[] {
  const consumers = receivers.map(({ config }) => config);
  const dead = consumers.flatMap(({ deadLetter }) => deadLetter ?? []);
  const filled = dead.filter((name) => findQueue(name, { bindings, stores, consumers }).hasSender);
  return [...new Set([...findSent(bindings).map(({ value }) => value.space), ...filled])];
}

function findSent(
  bindings: readonly BindingSetting[],
): { name: string; value: BindingSetting["value"] & { kind: "queue" } }[] {
  return bindings.flatMap(({ name, value }) => (value.kind === "queue" ? [{ name, value }] : []));
}

function guess(name: string, known: readonly string[]): string {
  const near = pickNearest(name, known);
  return near === null ? "" : ` (did you mean "${near}"?)`;
}
