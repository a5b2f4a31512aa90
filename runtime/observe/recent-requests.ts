import type { Client } from "../http/client.ts";

/** A GET that was answered, without any data of its client. */
export interface RecentRequest {
  origin: string;
  /** A path, without a query. */
  target: string;
  status: number;
  durationMs: number;
}

/** A page has no longer path. */
const LONGEST_TARGET = 1_024;

/** A request with one of these fields asks for personal content, for a part of a page, or for no page at all. */
const PERSONAL_FIELDS: ReadonlySet<string> = new Set([
  "authorization",
  "cookie",
  "proxy-authorization",
  "range",
  "upgrade",
]);

/**
 * The last safe requests, for trying new workers. Only requests that a proxy might repeat count, and only those without
 * a query, because a query may hold a token. Each target is kept once, with its last answer. The target that was
 * requested longest ago makes room.
 */
export class RecentRequests {
  readonly most: number;
  /** Least recent first. */
  readonly #requests = new Map<string, RecentRequest>();

  constructor(most: number) {
    this.most = most;
  }

  /** All of them, the most recent last. */
  get all(): RecentRequest[] {
    return [...this.#requests.values()];
  }

  /** Notes an answered request, if it qualifies. */
  note(client: Client, status: number, nowMs: number): void {
    const { head, workerId, receivedMs } = client;
    const { method, target, origin, fields, bodyBytes } = head;
    // 499: the client has left. Without a worker, no handler has answered.
    if (method !== "GET" || workerId === null || bodyBytes !== 0 || status === 499) return;
    if (target.length > LONGEST_TARGET || target.includes("?")) return;
    if (namesOf(fields).some((name) => PERSONAL_FIELDS.has(name))) return;
    const key = origin + target;
    this.#requests.delete(key);
    this.#requests.set(key, { origin, target, status, durationMs: nowMs - receivedMs });
    if (this.#requests.size <= this.most) return;
    const [oldest] = this.#requests.keys();
    if (oldest !== undefined) this.#requests.delete(oldest);
  }
}

/** Returns the names in a field block (see `channel/messages.ts`), in which names and values alternate. */
function namesOf(block: string): string[] {
  return block.split("\n").filter((_, index) => index % 2 === 0);
}
