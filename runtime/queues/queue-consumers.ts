import { randomBytes } from "node:crypto";
import type { QueueInfo } from "../control/operations.ts";
import type { QueueHandler } from "../handlers/site-routes.ts";
import type { ExchangeId } from "../http/client.ts";
import type { BindingSetting, StoreSetting } from "../lib/binding-settings.ts";
import { isAlive } from "../lib/is-alive.ts";
import type { Logger } from "../log/log.ts";
import { MessageQueue } from "../stores/message-queue.ts";
import { openStore } from "../stores/open-store.ts";
import type { Store } from "../stores/store.ts";
import { findSilentReceivers, type SilentReceiver } from "./find-misspelt-queues.ts";
import { findQueue, type FoundQueue } from "./find-queue.ts";
import { QueueConsumer, type QueueConsumerOptions } from "./queue-consumer.ts";

/** Longest time between two looks at a file, and at Redis. */
const LOOK_MS = { embedded: 200, redis: 500 } as const;

export interface QueueConsumersOptions {
  log: Logger;
  /** Absolute path of the folder of the embedded stores. */
  storesDir: string;
  nextId: () => ExchangeId;
  /** Called when a batch has failed with this status. */
  onFailure: QueueConsumerOptions["onFailure"];
  leaseMs?: number;
}

/** The settings that queues need. */
export interface QueueSetup {
  bindings: readonly BindingSetting[];
  stores: readonly StoreSetting[];
}

/**
 * The consumers of all queues that handlers of the present generation receive.
 *
 *     created ──use()──▶ consuming ──stop()──▶ no batch begins ──close()──▶ the last batch is settled
 */
export class QueueConsumers {
  readonly #options: QueueConsumersOptions;
  /** Names the leases of this process. */
  readonly #owner = `${process.pid}-${randomBytes(6).toString("base64url")}`;
  /** By the name of the queue. */
  readonly #consumers = new Map<string, { consumer: QueueConsumer; key: string }>();
  /** Opened stores, by their settings. */
  readonly #stores = new Map<string, Promise<Store>>();
  /** Consumers of earlier generations whose batches have not ended. */
  readonly #leaving = new Set<Promise<void>>();
  /** The calls of `use`, one after the other. */
  #using: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(options: QueueConsumersOptions) {
    this.#options = options;
  }

  /** Describes the queues, sorted by name. */
  get info(): QueueInfo[] {
    const all = [...this.#consumers.values()].map(({ consumer }) => consumer.info);
    return all.toSorted((a, b) => (a.queue < b.queue ? -1 : 1));
  }

  /** Consumes for these handlers from now on. A queue that was there before keeps its batches in work. */
  use(handlers: readonly QueueHandler[], setup: QueueSetup): Promise<void> {
    this.#using = this.#using.then(() => this.#use(handlers, setup));
    return this.#using;
  }

  /** Begins no further batch. Those in work go on. */
  stop(): void {
    this.#isStopped = true;
    for (const { consumer } of this.#consumers.values()) consumer.stop();
  }

  /** Stops, and resolves when all batches are settled and the stores are closed. */
  async close(): Promise<void> {
    this.stop();
    await this.#using;
    const all = [...this.#consumers.values()].map(({ consumer }) => consumer.close());
    await Promise.all([...all, ...this.#leaving]);
    for (const opening of this.#stores.values()) {
      // oxlint-disable-next-line no-await-in-loop -- Few.
      const store = await opening.catch(() => null);
      // oxlint-disable-next-line no-await-in-loop -- As above.
      await store?.close();
    }
  }

  async #use(handlers: readonly QueueHandler[], setup: QueueSetup): Promise<void> {
    if (this.#isStopped) return;
    const wanted = this.#pickHandlers(handlers);
    for (const [name, { consumer }] of this.#consumers) {
      if (!wanted.has(name)) this.#release(name, consumer);
    }
    const receivers = [...wanted.values()];
    const all = receivers.map(({ config }) => config);
    for (const silent of findSilentReceivers({ receivers, ...setup })) this.#warnOf(silent);
    for (const [name, handler] of wanted) {
      const queue = findQueue(name, { ...setup, consumers: all });
      const { deadLetter } = handler.config;
      const dead = deadLetter === null ? null : findQueue(deadLetter, { ...setup, consumers: all });
      const key = JSON.stringify([queue, dead]);
      const known = this.#consumers.get(name);
      if (known?.key === key) {
        known.consumer.handler = handler;
        continue;
      }
      if (known !== undefined) this.#release(name, known.consumer);
      try {
        // oxlint-disable-next-line no-await-in-loop -- Few, and each opens a store at most.
        const consumer = await this.#create(handler, { queue, dead });
        this.#consumers.set(name, { consumer, key });
        // The server may have been stopped meanwhile.
        if (this.#isStopped) consumer.stop();
        else consumer.start();
      } catch (error) {
        this.#options.log.error({ err: error, queue: name }, "cannot receive from a queue");
      }
    }
  }

  /** Its name is probably misspelt. */
  #warnOf({ receiver: { config, file }, known }: SilentReceiver<QueueHandler>): void {
    const expected = known.length === 0 ? "a binding of this queue" : `one of ${known.join(", ")}`;
    this.#options.log.warn(
      { queue: config.name, handler: file },
      `queue() gets no messages: found no binding that sends to ${config.name}, expected ${expected}`,
    );
  }

  async #create(
    handler: QueueHandler,
    { queue, dead }: { queue: FoundQueue; dead: FoundQueue | null },
  ): Promise<QueueConsumer> {
    const { log, nextId, onFailure, leaseMs } = this.#options;
    const own = this.#owner;
    const isLocal = queue.store.kind === "embedded";
    return new QueueConsumer(handler, {
      log,
      nextId,
      onFailure,
      queue: await this.#open(queue),
      dead: dead === null ? null : await this.#open(dead),
      store: queue.store.name,
      lookMs: LOOK_MS[queue.store.kind],
      // Only processes of this machine use an embedded store.
      isGone: (owner) => isLocal && isOwnerGone(owner, own),
      ...(leaseMs !== undefined && { leaseMs }),
    });
  }

  async #open({ name, store, limit }: FoundQueue): Promise<MessageQueue> {
    const opened = await this.#openStore(store);
    return new MessageQueue(opened, { name, mostMessages: limit, owner: this.#owner });
  }

  #openStore(setting: StoreSetting): Promise<Store> {
    const key = JSON.stringify(setting);
    let opening = this.#stores.get(key);
    if (opening === undefined) {
      opening = openStore(setting, this.#options.storesDir);
      this.#stores.set(key, opening);
      // The next reload tries again.
      opening.catch(() => this.#stores.delete(key));
    }
    return opening;
  }

  /** Lets a consumer end its batches. */
  #release(name: string, consumer: QueueConsumer): void {
    this.#consumers.delete(name);
    const leaving = consumer.close();
    this.#leaving.add(leaving);
    void leaving.finally(() => this.#leaving.delete(leaving));
  }

  /** Returns one handler for each queue. */
  #pickHandlers(handlers: readonly QueueHandler[]): Map<string, QueueHandler> {
    const wanted = new Map<string, QueueHandler>();
    for (const handler of handlers) {
      const { name } = handler.config;
      const first = wanted.get(name);
      if (first === undefined) {
        wanted.set(name, handler);
        continue;
      }
      const fields = { queue: name, handler: handler.file, other: first.file };
      this.#options.log.error(
        fields,
        "queue() never runs: another handler receives from its queue",
      );
    }
    return wanted;
  }
}

/** Tells whether the process of a lease is gone. A process that has the id of an earlier one has another name. */
function isOwnerGone(owner: string, own: string): boolean {
  if (owner === own) return false;
  const pid = Number(owner.split("-")[0]);
  return pid === process.pid || !isAlive(pid);
}
