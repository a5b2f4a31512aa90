import type { UpstreamFailure, UpstreamServer } from "../upstream/exchange.ts";
import type { Choosable } from "./choose.ts";
import { hashText } from "./hash-text.ts";
import { type Health, rampOf } from "./health.ts";
import type { MemberSetting, Target } from "./targets.ts";

/** State of a server, for the status page. */
export type MemberState = "up" | "slow start" | "out" | "probing" | "trial" | "draining";

/** One server of a group, for the status page. */
export interface MemberStatus {
  readonly name: string;
  readonly state: MemberState;
  /** How long it has not been up; `null`: it is up. */
  readonly outMs: number | null;
  readonly backup: boolean;
  readonly weight: number;
  readonly inFlight: number;
  readonly requests: number;
  readonly failures: number;
  /** The last failure, in plain English; `null`: there was none. */
  readonly lastReason: string | null;
}

/** One server of a group: its connections, its health, and its counts. */
export class Member implements Choosable {
  readonly server: UpstreamServer;
  readonly seed: number;
  readonly target: Target;
  /** The name in a sticky cookie; `null`: the group has none. */
  stickyName: string | null = null;
  health: Health;
  turn = 0;
  share: number;
  requests = 0;
  failures = 0;
  lastReason: string | null = null;
  /** The timer of the next probe, or of the end of a time. */
  timer: NodeJS.Timeout | null = null;
  /** Ends the probe that runs; `null`: none does. */
  stopProbe: (() => void) | null = null;
  #setting: MemberSetting;
  /** Requests in flight without the one of the trial: those that began before the server was out. */
  #untried = 0;

  constructor(server: UpstreamServer, target: Target, health: Health) {
    this.server = server;
    this.target = target;
    this.seed = hashText(target.key);
    this.health = health;
    this.#setting = target.setting;
    this.share = target.setting.weight;
  }

  get most(): number {
    return this.#setting.most;
  }

  get backup(): boolean {
    return this.#setting.backup;
  }

  get isUp(): boolean {
    return this.health.kind === "up";
  }

  /** Applies the next config. */
  use(setting: MemberSetting): void {
    const ramp = this.share / this.#setting.weight;
    this.#setting = setting;
    this.share = setting.weight * ramp;
  }

  /** Takes over the health and the counts of a member with the same address, whose connections had other settings. */
  inherit({ health, requests, failures, lastReason }: Member): void {
    Object.assign(this, { health, requests, failures, lastReason });
  }

  /** Sets its share while it starts slowly. Returns whether it still does. */
  ramp(nowMs: number, slowStartMs: number): boolean {
    const { health } = this;
    const part = health.kind === "up" ? rampOf(nowMs - health.sinceMs, slowStartMs) : 1;
    this.share = this.#setting.weight * part;
    return part < 1;
  }

  /** Begins a trial. Requests from before, such as long streams, do not count. */
  beginTrial(): void {
    this.#untried = this.server.inFlight;
  }

  /** Tells whether the server has no request of its trial now. */
  canTry(): boolean {
    const { inFlight } = this.server;
    this.#untried = Math.min(this.#untried, inFlight);
    return inFlight === this.#untried;
  }

  /** Ends the timer and the probe. */
  stopProbes(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.stopProbe?.();
    this.stopProbe = null;
  }

  noteFailure({ phase, reason }: Pick<UpstreamFailure, "phase" | "reason">): void {
    this.failures++;
    this.lastReason = `${phase}: ${reason}`;
  }

  status({ nowMs, isDraining }: { nowMs: number; isDraining: boolean }): MemberStatus {
    const { health, server, requests, failures, lastReason } = this;
    const { backup, weight } = this.#setting;
    const up = this.share < weight ? "slow start" : "up";
    return {
      name: server.name,
      state: isDraining ? "draining" : health.kind === "up" ? up : health.kind,
      outMs: health.kind === "up" ? null : Math.round(nowMs - health.sinceMs),
      backup,
      weight,
      inFlight: server.inFlight,
      requests,
      failures,
      lastReason,
    };
  }
}
