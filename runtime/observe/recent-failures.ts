import { type HandlerFailure, QUEUE_METHOD, SCHEDULED_METHOD } from "../channel/messages.ts";
import { toCountedMethod } from "./request-meters.ts";

/** A request that ended with a status of 500 or above. */
export interface FailedRequest {
  readonly requestId: string;
  /** The number of its site and route (`RequestMeters`). */
  readonly series: number;
  /**
   * One of those that are counted apart (`METHODS` in `request-meters.ts`), `scheduled()` or `queue()` for runs of these functions,
   * else `other`.
   */
  readonly method: string;
  /** Without the query, which may hold secrets. */
  readonly path: string;
  readonly status: number;
  /** The limit that refused it or cut it off; `null`: none. */
  readonly limitedBy: string | null;
  /** The upstream server; `null`: none. */
  readonly upstream: string | null;
  readonly workerId: number | null;
  /** In ms since 1970. */
  readonly timeMs: number;
}

/** Equal failures: of one route, method, status, limit and place. */
export interface FailureGroup {
  count: number;
  /** The newest of them. */
  last: FailedRequest;
  /** `null`: no worker has reported one. */
  reason: HandlerFailure | null;
}

/** Most groups that are kept. */
const MOST_GROUPS = 50;

/** Most reasons that wait for the end of their request. */
const MOST_REASONS = 100;

/** Longest path that is kept. */
const LONGEST_PATH = 200;

/**
 * The newest failures of a server, equal ones together: a flood of one kind must not push out the others.
 *
 * A worker reports the reason before it sends the answer, so that the reason is here when the request ends. A worker reports few
 * reasons of a flood. A failure without a reason counts to the newest group of its kind.
 */
export class RecentFailures {
  /** By kind and place, the newest last. */
  readonly #groups = new Map<string, FailureGroup>();
  /** The key of the newest group of each kind. */
  readonly #newest = new Map<string, string>();
  /** By request id, the oldest first. */
  readonly #reasons = new Map<string, HandlerFailure>();

  /** The groups, the newest first. */
  get all(): readonly Readonly<FailureGroup>[] {
    return [...this.#groups.values()].toReversed();
  }

  /** Keeps the reason of a request that has not ended yet. */
  explain(reason: HandlerFailure): void {
    this.#reasons.set(reason.requestId, reason);
    if (this.#reasons.size > MOST_REASONS) deleteFirst(this.#reasons);
  }

  /** Adds a request that failed. */
  note(failed: FailedRequest): void {
    const { series, status, limitedBy, upstream, requestId } = failed;
    const method = toShownMethod(failed.method);
    const reason = this.#reasons.get(requestId) ?? null;
    if (reason !== null) this.#reasons.delete(requestId);
    const kind = `${series} ${method} ${status} ${limitedBy ?? ""} ${upstream ?? ""}`;
    const key =
      reason === null
        ? (this.#newest.get(kind) ?? kind)
        : `${kind} ${reason.handler} ${reason.place ?? reason.message}`;
    const known = this.#groups.get(key);
    const last = { ...failed, method, path: failed.path.slice(0, LONGEST_PATH) };
    this.#groups.delete(key);
    this.#groups.set(key, {
      count: (known?.count ?? 0) + 1,
      last,
      reason: reason ?? known?.reason ?? null,
    });
    this.#newest.set(kind, key);
    if (this.#groups.size > MOST_GROUPS) this.#forget();
  }

  #forget(): void {
    const removed = deleteFirst(this.#groups);
    for (const [kind, key] of this.#newest) if (key === removed) this.#newest.delete(kind);
  }
}

/** Returns the name of a method for operators. Clients may make up any number of methods, but not those of runs. */
function toShownMethod(method: string): string {
  if (method === SCHEDULED_METHOD) return "scheduled()";
  return method === QUEUE_METHOD ? "queue()" : toCountedMethod(method);
}

/** Deletes the oldest entry of a map, and returns its key. */
function deleteFirst<Key>(map: Map<Key, unknown>): Key | undefined {
  const [first] = map.keys();
  if (first !== undefined) map.delete(first);
  return first;
}
