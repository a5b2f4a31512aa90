import type { StickySetting, UpstreamGroupSetting } from "../config/upstream-settings.ts";
import type { UpstreamFailure, UpstreamServer } from "../upstream/exchange.ts";
import { canTake, pickByHash, pickInTurn, pickLeastBusy } from "./choose.ts";
import { GroupQueue, type QueueRefusal } from "./group-queue.ts";
import type { Member, MemberStatus } from "./member.ts";
import { type GroupParts, type LoadedGroup, Members } from "./members.ts";
import { OverloadNotes } from "./overload-notes.ts";
import { formatStickyCookie } from "./sticky.ts";

export type { QueueRefusal } from "./group-queue.ts";

/** The facts about a request by which a group chooses its server. */
export interface Wish {
  /** The value to hash, for a group that chooses by a hash; `null`: the request has none, or the group needs none. */
  readonly key: string | null;
  /** The value of the group's sticky cookie; `null`: the request has none. */
  readonly cookie: string | null;
  /** Servers at which the request has failed. */
  readonly tried: readonly UpstreamServer[];
  /** The request may run at another server after it failed at this one: a server on trial may get it. */
  readonly mayRepeat: boolean;
}

/** A group of upstream servers, for the status page. */
export interface GroupStatus {
  readonly name: string;
  readonly servers: readonly MemberStatus[];
  /** Requests that wait for a server. */
  readonly queued: number;
  /** Names that have no address, or could not be resolved the last time. */
  readonly unresolved: readonly string[];
}

/** Weight of one request in the average time to the head of a response. */
const LATENCY_SHARE = 1 / 16;

/**
 * A group of upstream servers: chooses one for each request, leaves out servers that fail, and lets requests wait while all are
 * busy or none is up. Outlives reloads: see `Groups`.
 *
 * A caller asks `pick` for a server and opens an exchange at it in the same turn. It reports `succeeded` when the head of
 * the response comes, or `failed`; nothing when its client has left.
 */
export class Group {
  readonly #members: Members;
  readonly #queue: GroupQueue<Wish, UpstreamServer>;
  readonly #overload: OverloadNotes;
  #loaded: LoadedGroup;
  readonly #parts: GroupParts;
  #latencyMs = 0;
  #willServe = false;

  constructor(loaded: LoadedGroup, parts: GroupParts) {
    this.#loaded = loaded;
    const log = parts.log.child({ group: loaded.setting.name });
    this.#parts = { ...parts, log };
    this.#queue = new GroupQueue({
      limits: loaded.setting,
      now: parts.now,
      pick: (wish: Wish) => this.#pick(wish),
      isChoosy: ({ tried }) => tried.length > 0,
    });
    this.#overload = new OverloadNotes(log);
    this.#members = new Members(loaded, { ...this.#parts, onFree: () => this.#onFree() });
  }

  get setting(): UpstreamGroupSetting {
    return this.#loaded.setting;
  }

  /** The settings of its cookie; `null`: it has none. */
  get sticky(): StickySetting | null {
    return this.setting.sticky;
  }

  /** Applies the next config. Nothing that has begun is lost. */
  use(loaded: LoadedGroup): void {
    this.#loaded = loaded;
    this.#queue.use(loaded.setting);
    this.#members.use(loaded);
  }

  /**
   * Chooses a server for a request; `null`: none is up, all are full, other requests wait already, or the request has failed
   * at all servers.
   */
  pick(wish: Wish): UpstreamServer | null {
    // A new request does not overtake those that wait. One that has failed somewhere has waited before.
    if (this.#queue.size > 0 && wish.tried.length === 0) return null;
    return this.#pick(wish);
  }

  /**
   * Lets a request wait for a server. A request that has failed at all servers should come with an empty `tried`: it gets the
   * first of them that is up again.
   *
   * @param onEnd Called once, in a later turn of the event loop, unless the wait is ended: with a server, at which the caller
   *   opens an exchange at once, or with the reason for a refusal (503).
   * @returns The function that ends the wait; or the reason for which the request may not wait (503).
   */
  wait(
    wish: Wish,
    onEnd: (end: UpstreamServer | QueueRefusal) => void,
  ): (() => void) | QueueRefusal {
    const { downSinceMs, serving } = this.#members;
    const { queueTimeoutMs } = this.setting;
    if (downSinceMs !== null && this.#parts.now() - downSinceMs > queueTimeoutMs) {
      return this.#refuse("down");
    }
    let busy = 0;
    for (const { server } of serving) busy += server.inFlight;
    const state = { workers: serving.length, busy, latencyMs: this.#latencyMs };
    const noted = (end: UpstreamServer | QueueRefusal): void => {
      onEnd(typeof end === "string" ? this.#refuse(end) : end);
    };
    const waiting = this.#queue.push(wish, noted, state);
    if (typeof waiting === "string") return this.#refuse(waiting);
    // A server may have a free place: the requests before this one perhaps could not use it.
    this.#onFree();
    return waiting;
  }

  /** Tells whether a server that is up, full or not, is none of these. */
  hasOther(tried: readonly UpstreamServer[]): boolean {
    return this.#members.serving.some(({ server }) => !tried.includes(server));
  }

  /** Notes the head of a response. @param ms Time since the request was sent. */
  succeeded(server: UpstreamServer, ms: number): void {
    this.#latencyMs += (ms - this.#latencyMs) * LATENCY_SHARE;
    this.#members.succeeded(server);
  }

  /** Notes a failed attempt. */
  failed(server: UpstreamServer, failure: UpstreamFailure): void {
    this.#members.failed(server, failure);
  }

  /**
   * Returns the field `set-cookie` that keeps a client at its server; `null`: there is none to set.
   *
   * @param cookie The value that the client has sent. A cookie of another server that is up stays: that server was full.
   */
  stickyCookieOf(
    server: UpstreamServer,
    { cookie, isSecure }: { cookie: string | null; isSecure: boolean },
  ): string | null {
    const { sticky } = this;
    const name = this.#members.find(server)?.stickyName ?? null;
    if (sticky === null || name === null || name === cookie) return null;
    const own = cookie === null ? undefined : this.#members.findSticky(cookie);
    return own?.isUp === true ? null : formatStickyCookie(name, sticky, { isSecure });
  }

  status(): GroupStatus {
    const { name } = this.setting;
    return { name, queued: this.#queue.size, ...this.#members.status() };
  }

  /** Ends probes and looks at no names any more. The group still gives servers to requests that have begun. */
  rest(): void {
    this.#members.rest();
  }

  /** Refuses the requests that wait, and ends all others and all connections at once. */
  destroy(): void {
    this.#queue.clear("down");
    this.#members.destroy();
  }

  #pick(wish: Wish): UpstreamServer | null {
    const members = this.#members;
    members.ramp();
    const member = this.#pickSticky(wish) ?? this.#pickTrial(wish) ?? this.#pickAny(wish);
    if (member === null) return null;
    member.requests++;
    return member.server;
  }

  #pickSticky({ cookie, tried }: Wish): Member | null {
    if (cookie === null) return null;
    const member = this.#members.findSticky(cookie);
    return member?.isUp === true && canTake(member, tried) ? member : null;
  }

  /** Returns a server on trial that has no request for it yet. */
  #pickTrial({ tried, mayRepeat }: Wish): Member | null {
    const { trials } = this.#members;
    if (trials.length === 0 || !mayRepeat) return null;
    return trials.find((member) => member.canTry() && canTake(member, tried)) ?? null;
  }

  #pickAny(wish: Wish): Member | null {
    const { serving, backups } = this.#members;
    const { tried } = wish;
    const member = this.#choose(serving, wish);
    if (member !== null) return member;
    // Requests wait for servers that are full. Those for emergencies take their place when they fail.
    if (serving.some(({ server }) => !tried.includes(server))) return null;
    return this.#choose(backups, wish) ?? this.#pickTrial({ ...wish, mayRepeat: true });
  }

  #choose(members: readonly Member[], { key, tried }: Wish): Member | null {
    const { balance } = this.setting;
    switch (balance.kind) {
      case "least-busy":
        return pickLeastBusy(members, tried);
      case "round-robin":
        return pickInTurn(members, tried);
      case "hash":
        return key === null ? pickLeastBusy(members, tried) : pickByHash(members, tried, key);
      default:
        return null;
    }
  }

  #refuse(reason: QueueRefusal): QueueRefusal {
    this.#overload.note(reason, this.#queue.size);
    return reason;
  }

  /** Serves the queue once the server that has a free place has put its connection aside. */
  #onFree(): void {
    if (this.#queue.size === 0 || this.#willServe) return;
    this.#willServe = true;
    queueMicrotask(() => {
      this.#willServe = false;
      this.#queue.serve();
    });
  }
}
