/**
 * Whether an exchange is why its worker was lost, if the worker's own doing is.
 *
 * - `it`: it was alone there, or it has been most likely twice.
 * - `another`: nothing but another suspect had begun there of late, so that one most likely is.
 * - `open`: it may be.
 */
export type Blame = "it" | "another" | "open";

/** What is known of an exchange in flight whose worker was lost. */
export interface LostExchange {
  /** Whether it may run once more from the beginning. */
  replayable: boolean;
  blame: Blame;
  /** Whether it is a suspect already. */
  suspected: boolean;
  /** How many workers were lost with it in flight before this one, by what they did themselves and otherwise. */
  crashes: number;
  losses: number;
}

/**
 * What becomes of it.
 *
 * - `replay`: it goes to another worker.
 * - `isolate`: it goes to another worker that has nothing else to do.
 * - `quarantine`: it fails, and so do all that are like it for a while.
 * - `fail`: it fails.
 */
export type Verdict = "replay" | "isolate" | "quarantine" | "fail";

/** Workers that are killed around an exchange are not its fault; this many are bad luck enough. */
export const MOST_LOSSES = 10;

/**
 * After so many it runs alone. Where each worker is killed as soon as it is ready, all that waited is with it each time, and
 * would be lost together; of those that run alone one is.
 */
export const MOST_COMMON_LOSSES = 3;

/** So many crashes around an exchange are as well, while others are more likely to be why. */
const MOST_CRASHES = 3;

/**
 * Decides what becomes of an exchange whose worker was lost before any byte of its response was there.
 *
 * @param ownDoing Whether the worker's own doing is why it was lost, so that one of its exchanges may be to blame.
 * @param quarantine Whether those are looked for. Otherwise the exchange gets its second chance among others.
 */
export function judge(
  lost: LostExchange,
  { ownDoing, quarantine }: { ownDoing: boolean; quarantine: boolean },
): Verdict {
  if (ownDoing && lost.blame === "it") return "quarantine";
  if (!lost.replayable) return "fail";
  if (ownDoing) {
    if (lost.crashes >= (lost.blame === "another" ? MOST_CRASHES : 1)) return "fail";
    return quarantine ? "isolate" : "replay";
  }
  if (lost.losses >= MOST_LOSSES) return "fail";
  const alone = lost.suspected || (quarantine && lost.losses >= MOST_COMMON_LOSSES);
  return alone ? "isolate" : "replay";
}

/** Methods that may run twice with the effect of once (RFC 9110 section 9.2.2). TRACE is not served. */
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

/**
 * Whether a request may run once more though a worker may have run it already: its method is idempotent, or its client
 * says by `Idempotency-Key` that the handler can tell (draft-ietf-httpapi-idempotency-key-header).
 *
 * @param fields Field block, see `channel/messages.ts`.
 * @param declared What the handler says of itself, if it does: it goes before all.
 */
export function mayRunTwice(method: string, fields: string, declared: boolean | null): boolean {
  return declared ?? (IDEMPOTENT.has(method) || hasField(fields, "idempotency-key"));
}

function hasField(fields: string, name: string): boolean {
  // Names and values take turns.
  return fields.split("\n").some((text, index) => index % 2 === 0 && text === name);
}
