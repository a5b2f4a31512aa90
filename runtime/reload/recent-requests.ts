import type { ClientSide } from "../dispatch/client-side.ts";

/** A GET that was answered, without anything of who asked. */
export interface RecentRequest {
  origin: string;
  /** A path, without a query. */
  target: string;
  status: number;
  durationMs: number;
}

/** Longer ones are nobody's page. */
const LONGEST_TARGET = 1_024;

/** Who asks with one of these asks for something of their own, or for a part, or not for a page at all. */
const PERSONAL_FIELDS: ReadonlySet<string> = new Set([
  "authorization",
  "cookie",
  "proxy-authorization",
  "range",
  "upgrade",
]);

/**
 * The last safe requests, to try new workers with: those a proxy might send on its own account. A query may hold a token,
 * so only requests without one count. Each target once, with its last answer; the one that was asked for longest ago makes
 * room.
 */
export class RecentRequests {
  readonly most: number;
  /** Least recent first. */
  readonly #requests = new Map<string, RecentRequest>();

  constructor(most: number) {
    this.most = most;
  }

  /** The most recent last. */
  get all(): RecentRequest[] {
    return [...this.#requests.values()];
  }

  /** A request was answered. What does not qualify is left out. */
  note(client: ClientSide, status: number, nowMs: number): void {
    const { head, workerId, receivedMs } = client;
    const { method, target, origin, fields, bodyBytes } = head;
    // 499: its client has left. Without a worker, no handler has answered it.
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

/** The names in a field block (see `channel/messages.ts`): name and value by turns. */
function namesOf(block: string): string[] {
  return block.split("\n").filter((_, index) => index % 2 === 0);
}
