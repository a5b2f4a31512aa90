import type { Client } from "../http/client.ts";

/** A GET that was answered, without any data of its client. */
export interface RecentRequest {
  origin: string;
  /** A path, without a query. */
  target: string;
  status: number;
  durationMs: number;
}

/** Longest path that is kept. Paths of pages are shorter. */
const LONGEST_TARGET = 1_024;

/** Fields of requests for personal content, for a part of a page, or for something other than a page. */
const PERSONAL_FIELDS: ReadonlySet<string> = new Set([
  "authorization",
  "cookie",
  "proxy-authorization",
  "range",
  "upgrade",
]);

/**
 * The last safe requests, with which a reload tests new workers. Includes only requests that a proxy might repeat, and
 * none with a query, because a query may hold a token. Each target is kept once, with its last answer. When the list is
 * full, the target that was requested longest ago is removed.
 */
export class RecentRequests {
  readonly most: number;
  /** Least recent first. */
  readonly #requests = new Map<string, RecentRequest>();

  constructor(most: number) {
    this.most = most;
  }

  /** All requests, the most recent last. */
  get all(): RecentRequest[] {
    return [...this.#requests.values()];
  }

  /** Adds an answered request if it qualifies. */
  note(client: Client, status: number, nowMs: number): void {
    const { head, workerId, receivedMs } = client;
    const { method, target, origin, fields, bodyBytes } = head;
    // The client has left (499), or no worker answered.
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
