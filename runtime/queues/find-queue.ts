import type { QueueConfig } from "../config/queue-config.ts";
import { DEFAULT_STORE, QUEUE_LIMIT } from "../config/binding-settings.ts";
import type { BindingSetting, StoreSetting } from "../lib/binding-settings.ts";

/** A queue, and the place where it is. */
export interface FoundQueue {
  readonly name: string;
  readonly store: StoreSetting;
  /** Most messages in it. */
  readonly limit: number;
  /** Whether a binding sends to it, or to a queue whose dead letters it receives. */
  readonly hasSender: boolean;
}

/**
 * Finds the store of a queue: that of its binding; otherwise that of the nearest queue with a binding whose dead letters it receives;
 * otherwise the default one.
 */
export function findQueue(
  name: string,
  {
    bindings,
    stores,
    consumers,
  }: {
    bindings: readonly BindingSetting[];
    stores: readonly StoreSetting[];
    consumers: readonly Pick<QueueConfig, "name" | "deadLetter">[];
  },
): FoundQueue {
  const declared = new Map(
    bindings.flatMap(({ value }) => (value.kind === "queue" ? [[value.space, value]] : [])),
  );
  // Dead letters may go round in a circle. The loop also goes through the names that it adds.
  const sources = new Set([name]);
  for (const source of sources) {
    if (declared.has(source)) break;
    for (const { name: receiver, deadLetter } of consumers) {
      if (deadLetter === source) sources.add(receiver);
    }
  }
  const at = [...sources].find((source) => declared.has(source));
  const storeName = (at === undefined ? undefined : declared.get(at)?.store) ?? DEFAULT_STORE;
  const store = stores.find((each) => each.name === storeName);
  return {
    name,
    store: store ?? { kind: "embedded", name: DEFAULT_STORE, durability: "process" },
    limit: declared.get(name)?.limit ?? QUEUE_LIMIT,
    hasSender: at !== undefined,
  };
}
