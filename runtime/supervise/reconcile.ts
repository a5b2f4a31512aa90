import type { WorkerId } from "../channel/messages.ts";
import type { Member, PoolState, Vacancy } from "./pool-state.ts";
import type { RecycleReason } from "./recycle-policy.ts";

/** Why a ready worker retires: it is worn, or surplus. */
export type RetireReason = RecycleReason | "surplus";

export type Action =
  /** Create a process, in the place of a vacancy that has waited long enough, or in a new one. */
  | { type: "start"; vacancy: Vacancy | null }
  /** Send it nothing new, let it finish its exchanges, end it. */
  | { type: "retire"; id: WorkerId; reason: RetireReason }
  /** End it now: it never served. */
  | { type: "kill"; id: WorkerId }
  /** Drop the vacancy: its worker needs no replacement. */
  | { type: "forget"; vacancy: Vacancy }
  /** Wait until then, unless an event comes. At most one, the last action. */
  | { type: "wait"; untilMs: number };

/**
 * Decides the actions that lead to the desired number of ready workers. Pure.
 *
 * - Ready workers retire only while there are more than `desired`, worn ones first. So a worn one goes when a fresh one
 *   serves.
 * - While one is worn, there may be one more than desired, if all desired ones serve and the one before has gone. There
 *   are never more than `desired` and one, except those that drain after a change of `desired`. A worn worker stays
 *   while none can boot.
 * - Each vacancy waits for itself: one that cannot boot does not delay the replacement of another.
 *
 * After the actions were carried out, another call returns at most the wait.
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
  // The worker that has come furthest stays: the newest go.
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

/**
 * Sorts worn workers first, then the oldest, which are most likely to be worn next. The sort keeps the order of age.
 */
function wornFirst(a: Ready, b: Ready): number {
  return Number(b.recycle !== null) - Number(a.recycle !== null);
}

type Ready = Extract<Member, { kind: "ready" }>;

/**
 * Fills `missing` places: new ones when there are more than vacancies, and vacancies that have waited long enough. When
 * fewer are missing, forgets the vacancies that would have to wait longest.
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
