/** Rules by which the health of a server changes. */
export interface HealthPolicy {
  /** Failures in a row after which a server is out, if they come within `windowMs`. */
  readonly failures: number;
  readonly windowMs: number;
  /** How long it is out the first time. Each time that follows soon is twice as long, up to `MOST_TIMES` as long. */
  readonly outTimeMs: number;
  /** Good probes in a row before a server that is out gets requests again. */
  readonly rise: number;
  /** Bad probes in a row after which a server is out. */
  readonly fall: number;
  /** A good probe proves that the server answers requests. Else it proves only that the server accepts connections. */
  readonly hasChecks: boolean;
}

/**
 * The health of one upstream server.
 *
 *           failures or bad probes                time is over            enough good probes, with checks
 *     up ──────────────────────────▶ out ◀──────────────────── probing ────────────────────────────────▶ up
 *      ▲                              │ ─────────────────────▶    │
 *      │                              └── bad probe ──────────────┤ a good probe, without checks
 *      └──────────────────────── trial ◀──────────────────────────┘
 *            one request succeeds   └──── it fails ──▶ out
 */
export type Health =
  | {
      readonly kind: "up";
      readonly sinceMs: number;
      /** Failed requests in a row, and the time of the first of them. */
      readonly failures: number;
      readonly firstMs: number;
      /** Bad probes in a row. */
      readonly falls: number;
      /** How often it was out shortly before. */
      readonly times: number;
    }
  | {
      readonly kind: "out";
      /** When it was up last. */
      readonly sinceMs: number;
      readonly untilMs: number;
      readonly reason: string;
      readonly times: number;
    }
  /** Gets probes and no requests. */
  | {
      readonly kind: "probing";
      readonly sinceMs: number;
      /** Good probes in a row. */
      readonly rises: number;
      readonly reason: string;
      readonly times: number;
    }
  /** Gets one request at a time, until one succeeds or fails. */
  | {
      readonly kind: "trial";
      readonly sinceMs: number;
      readonly reason: string;
      readonly times: number;
    };

export type HealthEvent =
  /** A request got a response. */
  | { readonly type: "succeeded" }
  /** A request failed. `isDecisive`: nothing listens at the address. */
  | { readonly type: "failed"; readonly reason: string; readonly isDecisive: boolean }
  | { readonly type: "probed"; readonly problem: string | null }
  /** The time of a server that is out is over. */
  | { readonly type: "due" }
  /** No other server is up any more. */
  | { readonly type: "last" };

/** The facts beside the health of one server. */
export interface HealthContext {
  readonly policy: HealthPolicy;
  readonly nowMs: number;
  /** Another server of the group is up. */
  readonly isOtherUp: boolean;
}

/** The longest time for which a server is out, as a multiple of the first. */
export const MOST_TIMES = 64;

/** A server that has worked for so long since it was out last starts with the shortest time again. */
const FORGET_MS = 60_000;

/** The health of a server that gets its whole share from the start. */
export const START_UP: Health = {
  kind: "up",
  sinceMs: -Infinity,
  failures: 0,
  firstMs: 0,
  falls: 0,
  times: 0,
};

/** Returns the health of a server that must first be probed, such as a new one beside others that work. */
export function startProbing(nowMs: number): Health {
  return { kind: "probing", sinceMs: nowMs, rises: 0, reason: "it is new", times: 0 };
}

/**
 * Returns the next health. Pure. An event that a state does not expect changes nothing.
 *
 * The last server that is up goes out only when nothing listens at its address, or by its checks. No other server could take
 * its requests, and a client with a few slow requests must not shut out all others. For the same reason it has no trial.
 */
export function nextHealth(health: Health, event: HealthEvent, context: HealthContext): Health {
  const { nowMs } = context;
  switch (event.type) {
    case "succeeded":
      if (health.kind === "up") return health.failures === 0 ? health : { ...health, failures: 0 };
      return health.kind === "trial" ? returned(health, nowMs) : health;
    case "failed":
      return afterFailure(health, event, context);
    case "probed":
      return event.problem === null
        ? afterGoodProbe(health, context)
        : afterBadProbe(health, event.problem, context);
    case "due":
      if (health.kind !== "out" || nowMs < health.untilMs) return health;
      return { ...restOf(health), kind: "probing", rises: 0 };
    case "last":
      return health.kind === "trial" ? returned(health, nowMs) : health;
    default:
      return health;
  }
}

function afterFailure(
  health: Health,
  { reason, isDecisive }: { reason: string; isDecisive: boolean },
  { policy, nowMs, isOtherUp }: HealthContext,
): Health {
  if (health.kind === "trial") return goOut(health, reason, { policy, nowMs });
  if (health.kind !== "up") return health;
  const isFirst = health.failures === 0 || nowMs - health.firstMs > policy.windowMs;
  const failures = isFirst ? 1 : health.failures + 1;
  const isOut = isDecisive || (failures >= policy.failures && isOtherUp);
  if (isOut) return goOut(health, reason, { policy, nowMs });
  return { ...health, failures, firstMs: isFirst ? nowMs : health.firstMs };
}

function afterGoodProbe(health: Health, { policy, nowMs, isOtherUp }: HealthContext): Health {
  if (health.kind === "up") return health.falls === 0 ? health : { ...health, falls: 0 };
  if (health.kind !== "probing") return health;
  const rises = health.rises + 1;
  if (rises < policy.rise) return { ...health, rises };
  if (policy.hasChecks || !isOtherUp) return returned(health, nowMs);
  return { ...restOf(health), kind: "trial" };
}

function afterBadProbe(health: Health, reason: string, { policy, nowMs }: HealthContext): Health {
  if (health.kind === "up") {
    const falls = health.falls + 1;
    return falls >= policy.fall ? goOut(health, reason, { policy, nowMs }) : { ...health, falls };
  }
  // The next probe comes by itself: the time of a server that is probed does not grow.
  return health.kind === "probing" ? { ...health, rises: 0, reason } : health;
}

function goOut(
  health: Health,
  reason: string,
  { policy, nowMs }: Pick<HealthContext, "policy" | "nowMs">,
): Health {
  const isSoon = health.kind !== "up" || nowMs - health.sinceMs < FORGET_MS;
  const times = isSoon ? health.times + 1 : 1;
  const outMs = policy.outTimeMs * Math.min(2 ** (times - 1), MOST_TIMES);
  const sinceMs = health.kind === "up" ? nowMs : health.sinceMs;
  return { kind: "out", sinceMs, untilMs: nowMs + outMs, reason, times };
}

function returned({ times }: Health, nowMs: number): Health {
  return { kind: "up", sinceMs: nowMs, failures: 0, firstMs: 0, falls: 0, times };
}

/** Returns the facts that a server keeps until it is up again. */
function restOf<Facts extends { sinceMs: number; reason: string; times: number }>({
  sinceMs,
  reason,
  times,
}: Facts): Pick<Facts, "sinceMs" | "reason" | "times"> {
  return { sinceMs, reason, times };
}

/** Shares smaller than this would let no request through for long. */
const LEAST_RAMP = 0.1;

/**
 * Returns the part of its weight that a server has while it starts slowly: 0.1 to 1.
 *
 * @param forMs How long it has been up; `Infinity`: from the start.
 */
export function rampOf(forMs: number, slowStartMs: number): number {
  return forMs >= slowStartMs ? 1 : Math.max(LEAST_RAMP, forMs / slowStartMs);
}
