import type {
  SampledBody,
  ShadowCounts,
  ShadowEvent,
  ShadowRequest,
} from "../control/shadowing.ts";
import type { Client } from "../http/client.ts";
import { findField } from "../http/find-field.ts";
import { addFilter, hasBody, isSource, type Reply, type ReplyFilter } from "../http/reply.ts";
import { whenFinished } from "../http/when-finished.ts";
import { digestBody, MOST_BODY_BYTES } from "./digest-body.ts";
import { TappedSource } from "./tapped-source.ts";

/** Most samples between their request and their event: each may hold a body. */
const MOST_OPEN = 64;

/** Most samples that wait for the reader. */
const MOST_WAITING = 128;

const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** Marks requests to the old server: it may be in front of this one, or the same. */
export const SHADOW_FIELD = "edgicorn-shadow";

/** An old server has other entity tags and dates: it would answer these in another way. */
const UNCOMPARABLE = [
  SHADOW_FIELD,
  "if-match",
  "if-none-match",
  "if-modified-since",
  "if-unmodified-since",
  "if-range",
  "range",
];

const CREDENTIALS: ReadonlySet<string> = new Set([
  "authorization",
  "cookie",
  "proxy-authorization",
]);

export interface SamplerOptions extends ShadowRequest {
  /** Returns a number from 0 up to 1. */
  random: () => number;
  /** Returns site and route that count a request. */
  routeOf: (client: Client) => string;
}

/**
 * Takes samples of safe requests and of the answers that their visitors get. Loses samples instead of slowing a request
 * down or holding more memory, and counts them.
 */
export class Sampler {
  readonly #options: SamplerOptions;
  readonly #waiting: ShadowEvent[] = [{ type: "begun" }];
  readonly #counts: ShadowCounts = { skipped: 0, dropped: 0, broken: 0 };
  #open = 0;
  #wake: (() => void) | null = null;

  constructor(options: SamplerOptions) {
    this.#options = options;
  }

  /** Looks at a request before its stages do. Must not throw. */
  look(client: Client): void {
    const { share, random } = this.#options;
    const { method, fields } = client.head;
    if (!SAFE_METHODS.has(method) || random() >= share) return;
    const isOther = UNCOMPARABLE.some((name) => findField(fields, name) !== undefined);
    if (isOther || (client.webSocket ?? null) !== null) {
      this.#counts.skipped++;
      return;
    }
    if (this.#open >= MOST_OPEN) {
      this.#counts.dropped++;
      return;
    }
    this.#open++;
    const state = { hasReply: false };
    const last: ReplyFilter = (reply) => {
      if (state.hasReply) return reply;
      state.hasReply = true;
      return this.#take(client, reply);
    };
    // Stages add their filters later. The last filter sees the reply that the visitor gets.
    addFilter(client, (reply) => {
      client.filters?.push(last);
      return reply;
    });
    whenFinished(client, () => {
      if (state.hasReply) return;
      state.hasReply = true;
      this.#abandon();
    });
  }

  /** Yields events until the signal aborts. */
  async *events(signal: AbortSignal): AsyncGenerator<ShadowEvent> {
    const wake = (): void => this.#wake?.();
    signal.addEventListener("abort", wake);
    try {
      while (!signal.aborted) {
        const event = this.#waiting.shift();
        if (event !== undefined) {
          // Samples that were dropped while this one waited count, too: it may be the last one.
          yield event.type === "sample" ? { ...event, counts: { ...this.#counts } } : event;
          continue;
        }
        // oxlint-disable-next-line no-await-in-loop -- Waits for the next event.
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      signal.removeEventListener("abort", wake);
      this.#waiting.length = 0;
    }
  }

  /** Returns a reply with the same bytes, whose body is copied on its way. */
  #take(client: Client, reply: Reply): Reply {
    const { body } = reply;
    if (!hasBody(client.head.method, reply.status)) {
      this.#add(client, reply, { kind: "none" });
      return reply;
    }
    if (!isSource(body)) {
      // The bytes are lent.
      const bytes = Buffer.from(body ?? "");
      this.#digest(client, reply, bytes.length > MOST_BODY_BYTES ? null : bytes);
      return reply;
    }
    // Its end may be hours away.
    if (findField(reply.fields, "content-type")?.startsWith("text/event-stream") === true) {
      this.#digest(client, reply, null);
      return reply;
    }
    const tapped = new TappedSource(body, {
      mostBytes: MOST_BODY_BYTES,
      onDone: (bytes, end) => {
        if (end === "failed") this.#abandon();
        else this.#digest(client, reply, bytes);
      },
    });
    return { ...reply, body: tapped };
  }

  #digest(client: Client, reply: Reply, bytes: Buffer | null): void {
    if (bytes === null) {
      this.#add(client, reply, { kind: "unknown" });
      return;
    }
    const coding = findField(reply.fields, "content-encoding");
    const type = findField(reply.fields, "content-type");
    void digestBody(bytes, { coding, type }).then((body) => this.#add(client, reply, body));
  }

  #abandon(): void {
    this.#open--;
    this.#counts.broken++;
  }

  #add(client: Client, { status, fields }: Reply, body: SampledBody): void {
    this.#open--;
    if (this.#waiting.length >= MOST_WAITING) {
      this.#counts.dropped++;
      return;
    }
    const { withCredentials, routeOf } = this.#options;
    const { method, target, origin, fields: asked } = client.head;
    this.#waiting.push({
      type: "sample",
      method,
      target,
      origin,
      fields: toPairs(asked).filter(([name]) => withCredentials || !CREDENTIALS.has(name)),
      route: routeOf(client),
      status,
      answerFields: toPairs(fields).map(hideCookie),
      body,
      counts: { ...this.#counts },
    });
    this.#wake?.();
  }
}

/** Leaves the name of a cookie: its value may be that of a session. */
export function hideCookie([name, value]: [string, string]): [string, string] {
  return name === "set-cookie" ? [name, value.split("=", 1)[0] ?? ""] : [name, value];
}

/** Returns the names, in lower case, and values of a field block. */
function toPairs(block: string): [string, string][] {
  const parts = block === "" ? [] : block.split("\n");
  return Array.from({ length: Math.floor(parts.length / 2) }, (_, index) => [
    parts[index * 2] ?? "",
    parts[index * 2 + 1] ?? "",
  ]);
}
