/**
 * Whether an exchange is the cause of a worker's crash.
 *
 * - `it`: the exchange was alone there, or it was the most likely cause twice.
 * - `another`: the last exchange that began there is a suspect, which is the most likely cause.
 * - `open`: it may be the cause.
 */
export type Blame = "it" | "another" | "open";

/** The facts about an exchange in flight whose worker was lost. */
export interface LostExchange {
  /** Whether the exchange may run again from the beginning. */
  replayable: boolean;
  blame: Blame;
  /** Whether the exchange is a suspect already. */
  suspected: boolean;
  /** How many earlier workers crashed, or were lost otherwise, with this exchange in flight. */
  crashes: number;
  losses: number;
}

/**
 * The next step for a lost exchange.
 *
 * - `replay`: it goes to another worker.
 * - `isolate`: it goes to another worker, and runs alone there.
 * - `fail`: it fails.
 */
export type Verdict = "replay" | "isolate" | "fail";

/** An exchange is not the cause when its worker is killed from outside. After this many losses it fails anyway. */
export const MOST_LOSSES = 10;

/**
 * After this many losses an exchange runs alone. If each worker is killed as soon as it is ready, all waiting exchanges
 * are lost together each time; of exchanges that run alone only one is lost.
 */
export const MOST_COMMON_LOSSES = 3;

/** An exchange that survived this many crashes before fails, by its blame for this one. */
const MOST_CRASHES: Readonly<Record<Blame, number>> = { it: 0, open: 1, another: 3 };

/**
 * Decides the next step for an exchange whose worker was lost before the first byte of its response.
 *
 * @param ownDoing The worker ended by its own doing, so one of its exchanges may be the cause.
 * @param quarantine Whether suspects are isolated. Otherwise a lost exchange is replayed among others.
 */
export function judge(
  lost: LostExchange,
  { ownDoing, quarantine }: { ownDoing: boolean; quarantine: boolean },
): Verdict {
  if (!lost.replayable) return "fail";
  if (ownDoing) {
    if (lost.crashes >= MOST_CRASHES[lost.blame]) return "fail";
    return quarantine ? "isolate" : "replay";
  }
  if (lost.losses >= MOST_LOSSES) return "fail";
  const alone = lost.suspected || (quarantine && lost.losses >= MOST_COMMON_LOSSES);
  return alone ? "isolate" : "replay";
}

/** Methods that may run twice with the effect of once (RFC 9110 section 9.2.2). TRACE is not served. */
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

/**
 * Tells whether a request may run again although a worker may have run it already. It may if its method is idempotent,
 * or if the client sent `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header).
 *
 * @param fields Field block, see `channel/messages.ts`.
 * @param declared The handler's own declaration, which takes precedence; `null`: it has none.
 */
export function mayRunTwice(method: string, fields: string, declared: boolean | null): boolean {
  return declared ?? (IDEMPOTENT.has(method) || hasField(fields, "idempotency-key"));
}

function hasField(fields: string, name: string): boolean {
  // Names and values alternate.
  return fields.split("\n").some((text, index) => index % 2 === 0 && text === name);
}
