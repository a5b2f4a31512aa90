/** Topics, and the text before their first message. Plain data. */
export interface TopicStream {
  readonly topics: readonly string[];
  /** Text that the client gets before the first message. */
  readonly opening: string;
}

/**
 * Marks the stream. A symbol of all of the process: the handler's copy of the package may be another one than the worker's.
 */
const TOPICS = Symbol.for("edgicorn.topics");

/** Returns a body that stands for the messages of topics. Only the primary has them: code that reads it gets an error. */
export function toTopicStream(value: TopicStream): ReadableStream<Uint8Array> {
  const stream = new ReadableStream<Uint8Array>(
    {
      pull() {
        throw new TypeError(
          "Cannot read an event stream in a worker: the server sends it without one, expected the response to be returned",
        );
      },
    },
    { highWaterMark: 0 },
  );
  return Object.defineProperty(stream, TOPICS, { value });
}

/** Returns the topics that a stream stands for; `null`: it is another stream. */
export function topicsOf(stream: ReadableStream): TopicStream | null {
  const value: unknown = Reflect.get(stream, TOPICS);
  // Only `toTopicStream` sets it.
  return value === undefined ? null : (value as TopicStream);
}
