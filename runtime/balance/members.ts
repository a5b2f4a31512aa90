import type { UpstreamGroupSetting, UpstreamHealthSetting } from "../config/upstream-settings.ts";
import type { Logger } from "../log/log.ts";
import type { UpstreamFailure, UpstreamServer } from "../upstream/exchange.ts";
import type { OpenUpstreamServer } from "../upstream/server-options.ts";
import {
  type Health,
  type HealthEvent,
  type HealthPolicy,
  nextHealth,
  START_UP,
  startProbing,
} from "./health.ts";
import type { LoadedTls } from "./load-tls.ts";
import { Member, type MemberStatus } from "./member.ts";
import { NameWatch } from "./names/name-watch.ts";
import type { NameQuery, ResolveName } from "./names/resolve-name.ts";
import { probeConnection, probePath } from "./probe.ts";
import { nextProbeMs } from "./probe-times.ts";
import { toStickyName } from "./sticky.ts";
import { haveSameOptions, type Target, toNameQuery, toTargets } from "./targets.ts";

/** The parts of the server that all groups share. */
export interface GroupParts {
  readonly open: OpenUpstreamServer;
  readonly resolve: ResolveName;
  readonly log: Logger;
  /** Monotonic time. */
  readonly now: () => number;
}

/** The settings of a group, with the content of its files. */
export interface LoadedGroup {
  readonly setting: UpstreamGroupSetting;
  readonly tls: LoadedTls;
  /** How long the requests of a server that a reload or the DNS removes may take. */
  readonly graceMs: number;
}

export interface MembersOptions extends GroupParts {
  /** A server may have a place for a request that waits. */
  onFree: () => void;
}

/**
 * The servers of a group: the addresses of the config and of the names in it, with their health.
 *
 *     config, DNS ──▶ wanted servers ──▶ members ──▶ serving, backups, trials
 *                                          ▲
 *                        results of requests and probes
 */
export class Members {
  readonly #options: MembersOptions;
  #loaded: LoadedGroup;
  #all: readonly Member[] = [];
  #byServer: ReadonlyMap<UpstreamServer, Member> = new Map();
  #bySticky: ReadonlyMap<string, Member> = new Map();
  readonly #watches = new Map<string, NameWatch>();
  /** Servers that are no longer wanted, until their requests have ended. */
  readonly #draining = new Map<Member, Promise<void>>();
  #serving: readonly Member[] = [];
  #backups: readonly Member[] = [];
  #trials: readonly Member[] = [];
  #downSinceMs: number | null;
  #isRamping = false;
  #isResting = false;

  constructor(loaded: LoadedGroup, options: MembersOptions) {
    this.#loaded = loaded;
    this.#options = options;
    this.#downSinceMs = options.now();
    this.use(loaded);
  }

  /** Servers that are up, without those for emergencies. */
  get serving(): readonly Member[] {
    return this.#serving;
  }

  /** Servers for emergencies that are up. */
  get backups(): readonly Member[] {
    return this.#backups;
  }

  /** Servers that have to pass one request before they are up. */
  get trials(): readonly Member[] {
    return this.#trials;
  }

  /** Since when no server gets requests; `null`: one does. */
  get downSinceMs(): number | null {
    return this.#downSinceMs;
  }

  /** Applies the next config. Servers that stay keep their connections, their health and their counts. */
  use(loaded: LoadedGroup): void {
    this.#loaded = loaded;
    this.#watchNames();
    this.#sync();
  }

  /** Returns the member of a server; `undefined`: it is no longer wanted. */
  find(server: UpstreamServer): Member | undefined {
    return this.#byServer.get(server);
  }

  /** Returns the member with this name in a sticky cookie. */
  findSticky(name: string): Member | undefined {
    return this.#bySticky.get(name);
  }

  /** Updates the shares of servers that start slowly. */
  ramp(): void {
    if (!this.#isRamping) return;
    const nowMs = this.#options.now();
    const slowStartMs = this.#health?.slowStartMs ?? 0;
    this.#isRamping = false;
    for (const member of this.#all) {
      if (member.ramp(nowMs, slowStartMs)) this.#isRamping = true;
    }
  }

  succeeded(server: UpstreamServer): void {
    const member = this.find(server);
    if (member === undefined) return;
    const { health } = member;
    if (health.kind === "up" && health.failures === 0) return;
    this.#apply(member, { type: "succeeded" });
  }

  failed(server: UpstreamServer, failure: UpstreamFailure): void {
    const member = this.find(server);
    if (member === undefined) return;
    member.noteFailure(failure);
    if (!tellsOfServer(failure)) return;
    const isDecisive = isRefusal(failure);
    this.#apply(member, { type: "failed", reason: member.lastReason ?? "", isDecisive });
  }

  status(): { servers: MemberStatus[]; unresolved: string[] } {
    this.ramp();
    const nowMs = this.#options.now();
    return {
      servers: [
        ...this.#all.map((member) => member.status({ nowMs, isDraining: false })),
        ...[...this.#draining.keys()].map((member) => member.status({ nowMs, isDraining: true })),
      ],
      unresolved: [...this.#watches.values()]
        .filter(({ isFailing, addresses }) => isFailing || addresses.length === 0)
        .map(({ query }) => query.name),
    };
  }

  /** Ends probes, and looks at no names any more. */
  rest(): void {
    this.#isResting = true;
    for (const watch of this.#watches.values()) watch.close();
    for (const member of this.#all) member.stopProbes();
  }

  destroy(): void {
    this.rest();
    for (const { server } of [...this.#all, ...this.#draining.keys()]) server.destroy();
  }

  get #health(): UpstreamHealthSetting | null {
    return this.#loaded.setting.health;
  }

  #watchNames(): void {
    const { setting } = this.#loaded;
    const queries = new Map<string, NameQuery>();
    for (const { address } of setting.servers) {
      const query = toNameQuery(address);
      if (query !== null) queries.set(toText(query), query);
    }
    for (const [text, watch] of this.#watches) {
      if (queries.has(text)) continue;
      watch.close();
      this.#watches.delete(text);
    }
    for (const [text, query] of queries) {
      if (!this.#watches.has(text)) this.#watches.set(text, this.#watch(query));
    }
  }

  #watch(query: NameQuery): NameWatch {
    const { log, resolve } = this.#options;
    const { name } = query;
    return new NameWatch({
      query,
      resolve,
      onChange: () => this.#sync(),
      onProblem: (error) => {
        const reason = error instanceof Error ? error.message : String(error);
        log.warn(
          { name, reason },
          "cannot resolve the name of an upstream: its last addresses stay",
        );
      },
      onSolved: () => log.info({ name }, "the name of an upstream can be resolved again"),
    });
  }

  /** Makes the members the wanted servers. */
  #sync(): void {
    const wanted = this.#listTargets();
    const before = new Map(this.#all.map((member) => [member.target.key, member]));
    const isAnyUp = this.#all.some((member) => member.isUp && wanted.has(member.target.key));
    const all = [...wanted.values()].map((target) => {
      const present = before.get(target.key);
      if (present !== undefined && haveSameOptions(present.target, target)) {
        before.delete(target.key);
        present.use(target.setting);
        return present;
      }
      return this.#create(target, { present, isAnyUp });
    });
    for (const member of before.values()) this.#retire(member);
    if (this.#health === null) for (const member of all) member.health = START_UP;
    this.#all = all;
    this.#byServer = new Map(all.map((member) => [member.server, member]));
    const { sticky } = this.#loaded.setting;
    this.#bySticky = new Map();
    if (sticky !== null) {
      for (const member of all) member.stickyName = toStickyName(member.target.key, sticky);
      this.#bySticky = new Map(all.map((member) => [member.stickyName ?? "", member]));
    }
    for (const member of all) this.#schedule(member, "first");
    this.#arrange();
  }

  #listTargets(): ReadonlyMap<string, Target> {
    const { setting, tls } = this.#loaded;
    const targets = new Map<string, Target>();
    for (const server of setting.servers) {
      const query = toNameQuery(server.address);
      const found = query === null ? null : (this.#watches.get(toText(query))?.addresses ?? []);
      for (const target of toTargets(server, found, { group: setting, tls })) {
        // Two names may have the same address. The first entry of the config has it.
        if (!targets.has(target.key)) targets.set(target.key, target);
      }
    }
    return targets;
  }

  #create(
    target: Target,
    { present, isAnyUp }: { present: Member | undefined; isAnyUp: boolean },
  ): Member {
    const { open, onFree, now } = this.#options;
    const server = open({ ...target.options, onSettled: onFree });
    const needsProbe = isAnyUp && this.#health !== null;
    const member = new Member(server, target, needsProbe ? startProbing(now()) : START_UP);
    if (present !== undefined) member.inherit(present);
    return member;
  }

  #retire(member: Member): void {
    member.stopProbes();
    const closing = member.server.close(this.#loaded.graceMs).finally(() => {
      this.#draining.delete(member);
    });
    this.#draining.set(member, closing);
  }

  /** Changes the health of a member, with all that follows. */
  #apply(member: Member, event: HealthEvent): void {
    const policy = this.#policy();
    if (policy === null) return;
    const before = member.health;
    const isOtherUp = this.#all.some((each) => each !== member && each.isUp);
    const after = nextHealth(before, event, { policy, nowMs: this.#options.now(), isOtherUp });
    if (after === before) return;
    member.health = after;
    if (after.kind === before.kind) return;
    if (after.kind === "trial") member.beginTrial();
    this.#note(member, before);
    this.#schedule(member, "changed");
    this.#arrange();
    if (before.kind === "up" && !isOtherUp) {
      for (const each of this.#trials) this.#apply(each, { type: "last" });
    }
  }

  #policy(): HealthPolicy | null {
    const health = this.#health;
    if (health === null) return null;
    const { check, failures, windowMs, outTimeMs } = health;
    const hasChecks = check !== null;
    const { rise, fall } = check ?? { rise: 1, fall: 1 };
    return { failures, windowMs, outTimeMs, rise, fall, hasChecks };
  }

  /** Writes a line when a server goes out, and when it is back. */
  #note({ health, server: { name: upstream } }: Member, before: Health): void {
    const { log, now } = this.#options;
    if (before.kind === "up" && health.kind === "out") {
      const { reason } = health;
      const othersUp = this.#serving.filter((each) => each.isUp).length;
      log.warn({ upstream, reason, othersUp }, "upstream server is out");
    }
    if (before.kind !== "up" && health.kind === "up") {
      const { reason } = before;
      const outMs = Math.round(now() - before.sinceMs);
      log.info({ upstream, reason, outMs }, "upstream server is up");
    }
  }

  /** Sorts the members by the requests that they may get. */
  #arrange(): void {
    const policy = this.#policy();
    const isUp = (member: Member): boolean => policy === null || member.isUp;
    this.#serving = this.#all.filter((member) => isUp(member) && !member.backup);
    this.#backups = this.#all.filter((member) => isUp(member) && member.backup);
    this.#trials = this.#all.filter(({ health }) => policy !== null && health.kind === "trial");
    const isDown = this.#serving.length + this.#backups.length + this.#trials.length === 0;
    this.#downSinceMs = isDown ? (this.#downSinceMs ?? this.#options.now()) : null;
    this.#isRamping = true;
    this.ramp();
    if (!isDown) this.#options.onFree();
  }

  #schedule(member: Member, when: "first" | "changed" | "probed"): void {
    const health = this.#health;
    if (health === null || this.#isResting) {
      member.stopProbes();
      return;
    }
    // A reload that keeps a member keeps its timer.
    if (when === "first" && (member.timer !== null || member.stopProbe !== null)) return;
    const nowMs = this.#options.now();
    const { outTimeMs, check } = health;
    const checkMs = check?.intervalMs ?? null;
    const ms = nextProbeMs(member.health, { when, outTimeMs, checkMs, nowMs });
    if (member.timer !== null) clearTimeout(member.timer);
    member.timer = null;
    if (ms === null) return;
    // The first checks of servers that start together come one after the other.
    const delayMs = when === "first" ? ms * Math.random() : ms;
    member.timer = setTimeout(() => this.#probe(member), delayMs);
    member.timer.unref();
  }

  #probe(member: Member): void {
    member.timer = null;
    const health = this.#health;
    if (health === null) return;
    this.#apply(member, { type: "due" });
    member.stopProbes();
    if (member.health.kind === "out") {
      // The timer came early: it has another clock.
      this.#schedule(member, "probed");
      return;
    }
    const { target, server } = member;
    const onProbed = (problem: string | null): void => {
      member.stopProbe = null;
      if (problem !== null) member.lastReason = problem;
      this.#apply(member, { type: "probed", problem });
      if (member.timer === null) this.#schedule(member, "probed");
    };
    const { connectTimeoutMs: timeoutMs } = this.#loaded.setting;
    member.stopProbe =
      health.check === null
        ? probeConnection(target.options.address, { timeoutMs }, onProbed)
        : probePath(server, { ...health.check, host: target.host }, onProbed);
  }
}

/**
 * Tells whether a failure says something about the health of its server. A server may close a kept connection at any
 * time. A server that closes a connection while it receives a request may have a reason that the client gave it.
 */
function tellsOfServer({ phase, reused, sent, begun, timedOut }: UpstreamFailure): boolean {
  if (timedOut || begun) return true;
  return phase !== "send" && !(reused && sent);
}

/** Codes of a system without a process that listens at the address. */
const REFUSALS: ReadonlySet<string | null> = new Set(["ECONNREFUSED", "ENOENT"]);

function isRefusal({ phase, code }: UpstreamFailure): boolean {
  return phase === "connect" && REFUSALS.has(code);
}

function toText({ kind, name }: NameQuery): string {
  return `${kind} ${name}`;
}
