import type { TopicsMessage } from "../channel/messages.ts";
import type { Client } from "../http/client.ts";
import type { LimitName } from "../http/limit-names.ts";
import { EVENT_STREAM_OPENING } from "../http/reply.ts";
import type { WaitingBytes } from "../lib/waiting-bytes.ts";
import { EventStream } from "./event-stream.ts";
import { spreadOut } from "./spread.ts";
import type { Subscriber } from "./topic-message.ts";
import type { Topics } from "./topics.ts";

/** Time between two comments to clients for which nothing waits. Proxies end silent connections, many of them after 60 s. */
const COMMENT_MS = 15_000;

export interface EventStreamsOptions {
  topics: Topics<Subscriber>;
  /** Counts the bytes that wait in all streams and WebSockets. */
  waiting: WaitingBytes;
  counters: { limit(name: LimitName, client: Client): void };
}

/** The event streams of all handlers. They outlive the workers that opened them. */
export class EventStreams {
  readonly #options: EventStreamsOptions;
  readonly #streams = new Map<EventStream, readonly string[]>();
  #comments: NodeJS.Timeout | undefined;
  #stopSpreading: (() => void) | null = null;

  constructor(options: EventStreamsOptions) {
    this.#options = options;
  }

  /** Number of open streams. */
  get size(): number {
    return this.#streams.size;
  }

  /** Returns the body of a response with the messages of topics. */
  open(
    client: Client,
    { site, mostBytes }: { site: string; mostBytes: number },
    [, , , , , topics, opening]: TopicsMessage,
  ): EventStream {
    const stream = new EventStream({
      site,
      opening,
      mostBytes,
      waiting: this.#options.waiting,
      onSlow: () => this.#options.counters.limit("webSocketBuffer", client),
      onOver: (over) => this.#forget(over),
    });
    this.#streams.set(stream, topics);
    for (const topic of topics) this.#options.topics.add(topic, stream);
    this.#comments ??= setInterval(() => this.#comment(), COMMENT_MS).unref();
    // The server may have begun to stop while the handler ran.
    if (this.#stopSpreading !== null) stream.end();
    return stream;
  }

  /** Ends all streams, spread over a time: their clients connect again. */
  close(graceMs: number): void {
    const all = [...this.#streams.keys()];
    this.#stopSpreading = spreadOut(all, { overMs: graceMs, call: (stream) => stream.end() });
  }

  /** Forgets all. Their connections are closed already. */
  destroy(): void {
    clearInterval(this.#comments);
    this.#stopSpreading?.();
    for (const stream of this.#streams.keys()) stream.cancel();
  }

  #comment(): void {
    for (const stream of this.#streams.keys())
      if (stream.isIdle) stream.write(EVENT_STREAM_OPENING);
  }

  #forget(stream: EventStream): void {
    for (const topic of this.#streams.get(stream) ?? []) this.#options.topics.delete(topic, stream);
    this.#streams.delete(stream);
    if (this.#streams.size > 0) return;
    clearInterval(this.#comments);
    this.#comments = undefined;
  }
}
