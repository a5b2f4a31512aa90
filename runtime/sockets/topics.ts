/** The subscribers of topics. Each site has topics of its own. */
export class Topics<Subscriber extends { readonly site: string }> {
  readonly #sites = new Map<string, Map<string, Set<Subscriber>>>();

  /** Number of topics with subscribers. */
  get size(): number {
    let size = 0;
    for (const topics of this.#sites.values()) size += topics.size;
    return size;
  }

  add(topic: string, subscriber: Subscriber): void {
    let topics = this.#sites.get(subscriber.site);
    if (topics === undefined) {
      topics = new Map();
      this.#sites.set(subscriber.site, topics);
    }
    const subscribers = topics.get(topic);
    if (subscribers === undefined) topics.set(topic, new Set([subscriber]));
    else subscribers.add(subscriber);
  }

  delete(topic: string, subscriber: Subscriber): void {
    const topics = this.#sites.get(subscriber.site);
    const subscribers = topics?.get(topic);
    if (topics === undefined || subscribers === undefined) return;
    subscribers.delete(subscriber);
    if (subscribers.size > 0) return;
    topics.delete(topic);
    if (topics.size === 0) this.#sites.delete(subscriber.site);
  }

  /** Returns the subscribers of a topic. A subscriber may leave while the caller goes through them. */
  of(site: string, topic: string): Iterable<Subscriber> {
    return this.#sites.get(site)?.get(topic) ?? NONE;
  }
}

const NONE: readonly never[] = [];
