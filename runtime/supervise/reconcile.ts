import type { WorkerId } from "../channel/messages.ts";
import type { Member, PoolState, Vacancy } from "./pool-state.ts";
import type { RecycleReason } from "./recycle-policy.ts";

/** Why a worker that serves is to go: it is worn, or it is one too many. */
export type RetireReason = RecycleReason | "surplus";

export type Action =
  /** Make a process, in the place of a vacancy that has waited long enough, or in a new one. */
  | { type: "start"; vacancy: Vacancy | null }
  /** Send it nothing new, let it finish what it has, end it. */
  | { type: "retire"; id: WorkerId; reason: RetireReason }
  /** End it now: it never served. */
  | { type: "kill"; id: WorkerId }
  /** Nobody will be needed in its place. */
  | { type: "forget"; vacancy: Vacancy }
  /** Nothing else is to be done before, unless something happens. At most one, the last. */
  | { type: "wait"; untilMs: number };

/**
 * What is to be done so that as many workers serve as are desired. Pure.
 *
 * - Workers that serve go only while more than `desired` do, worn ones first: so a worn one goes when a fresh one serves.
 * - While one is worn, there may be one more than desired, if all desired ones serve and the one before has gone. So there
 *   are never more than `desired` and one, whatever drains after a change of `desired` aside, and a worn worker stays
 *   while none can boot.
 * - Each vacancy waits for itself: one that cannot boot does not keep another from being replaced at once.
 *
 * Asking again after its actions were carried out yields at most the wait.
 *
 * @param desired At least 1.
 */
export function reconcile(state: PoolState, desired: number, nowMs: number): Action[] {
  const ready = state.members.filter((member) => member.kind === "ready");
  const starting = state.members.filter((member) => member.kind === "starting");
  const draining = state.members.length - ready.length - starting.length;

  const tooMany = Math.max(0, ready.length - desired);
  const retired = ready.toSorted(wornFirst).slice(0, tooMany);
  const isRecycling =
    ready.length === desired && draining === 0 && ready.some(({ recycle }) => recycle !== null);
  const wanted = desired + (isRecycling ? 1 : 0);
  const missing = wanted - (ready.length - tooMany) - starting.length;
  // What has come furthest stays: the newest go.
  const killed = missing < 0 ? starting.slice(Math.max(0, starting.length + missing)) : [];
  return [
    ...retired.map(({ id, recycle }) => ({
      type: "retire" as const,
      id,
      reason: recycle ?? ("surplus" as const),
    })),
    ...killed.map(({ id }) => ({ type: "kill" as const, id })),
    ...fill(Math.max(0, missing), state.vacancies, nowMs),
  ];
}

/** Those that are worn, then the oldest: it has had most time to become so. The sort keeps the order of age. */
function wornFirst(a: Ready, b: Ready): number {
  return Number(b.recycle !== null) - Number(a.recycle !== null);
}

type Ready = Extract<Member, { kind: "ready" }>;

/**
 * Fills so many places: new ones when there are more than vacancies, and those that have waited long enough. When there
 * are fewer, the vacancies that would have to wait longest are forgotten.
 */
function fill(missing: number, vacancies: readonly Vacancy[], nowMs: number): Action[] {
  const actions: Action[] = [];
  for (let fresh = missing - vacancies.length; fresh > 0; fresh--) {
    actions.push({ type: "start", vacancy: null });
  }
  const byTime = vacancies.toSorted((a, b) => a.notBeforeMs - b.notBeforeMs);
  for (const vacancy of byTime.slice(missing)) actions.push({ type: "forget", vacancy });
  for (const vacancy of byTime.slice(0, missing)) {
    if (vacancy.notBeforeMs > nowMs) {
      actions.push({ type: "wait", untilMs: vacancy.notBeforeMs });
      break;
    }
    actions.push({ type: "start", vacancy });
  }
  return actions;
}
