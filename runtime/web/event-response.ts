import { toEvent } from "../lib/server-sent-event.ts";
import { toTopicStream } from "./topic-stream.ts";

/** Options of `context.sse`. */
export interface EventStreamInit {
  /** Messages that this client gets first, such as the present state. */
  first?: string | readonly string[] | undefined;
  /** Time after which a client connects again. Browsers wait for some seconds. */
  retryMs?: number | undefined;
  /** Further fields of the response. */
  headers?: ResponseInit["headers"];
}

/** Limits of an event stream. */
export interface EventStreamBounds {
  readonly topics: number;
  readonly topicLength: number;
  /** Most characters before the first message. */
  readonly opening: number;
}

const FIELDS = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache",
  // Nginx in front passes each event on at once.
  "x-accel-buffering": "no",
} as const;

/**
 * Returns a response whose client gets the messages of topics as server-sent events.
 *
 * @throws TypeError for a wrong topic or option.
 */
export function toEventResponse(
  topics: string | readonly string[],
  { first = [], retryMs, headers }: EventStreamInit,
  bounds: EventStreamBounds,
): Response {
  const names = [...new Set(typeof topics === "string" ? [topics] : topics)];
  for (const name of names) checkName(name, bounds.topicLength);
  if (names.length === 0 || names.length > bounds.topics) {
    throw new TypeError(
      `Cannot open an event stream: found ${names.length} topics, expected 1 to ${bounds.topics}`,
    );
  }
  const opening = `${toRetry(retryMs)}${toFirst(first)}`;
  if (opening.length > bounds.opening) {
    throw new TypeError(
      `Cannot open an event stream: its first messages have ${opening.length} characters, expected at most ${bounds.opening}`,
    );
  }
  const fields = new Headers(FIELDS);
  for (const [name, value] of new Headers(headers)) {
    if (name === "set-cookie") fields.append(name, value);
    else fields.set(name, value);
  }
  return new Response(toTopicStream({ topics: names, opening }), { headers: fields });
}

function checkName(name: unknown, most: number): void {
  if (typeof name === "string" && name !== "" && name.length <= most) return;
  const found = typeof name === "string" ? `${name.length} characters` : typeof name;
  throw new TypeError(
    `Cannot open an event stream: found a topic of ${found}, expected text of 1 to ${most} characters`,
  );
}

function toRetry(ms: number | undefined): string {
  if (ms === undefined) return "";
  if (Number.isSafeInteger(ms) && ms >= 0) return `retry: ${ms}\n\n`;
  throw new TypeError(
    `Cannot open an event stream: found retryMs ${String(ms)}, expected whole milliseconds`,
  );
}

function toFirst(first: string | readonly string[]): string {
  const messages = typeof first === "string" ? [first] : first;
  if (Array.isArray(messages) && messages.every((message) => typeof message === "string")) {
    return messages.map(toEvent).join("");
  }
  throw new TypeError(
    "Cannot open an event stream: found first messages that are no text, expected text or an array of texts",
  );
}
