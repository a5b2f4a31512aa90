import type { WorkerId } from "../channel/messages.ts";
import type { Member, PoolState, Vacancy } from "./pool-state.ts";
import type { RecycleReason } from "./recycle-policy.ts";

/** Why a ready worker retires: it is worn, or surplus. */
export type RetireReason = RecycleReason | "surplus";

export type Action =
  /** Create a process, in the place of a vacancy that has waited long enough, or in a new one. */
  | { type: "start"; vacancy: Vacancy | null }
  /** Send the worker nothing new, let it finish its exchanges, and end it. */
  | { type: "retire"; id: WorkerId; reason: RetireReason }
  /** Kill the worker: it never served. */
  | { type: "kill"; id: WorkerId }
  /** Drop the vacancy: its worker needs no replacement. */
  | { type: "forget"; vacancy: Vacancy }
  /** Wait until then, unless an event comes. At most one, the last action. */
  | { type: "wait"; untilMs: number };

/**
 * Decides the actions that lead to the desired number of ready workers. Pure.
 *
 * - Ready workers retire only while there are more than `desired`, worn workers first. A worn worker therefore stays
 *   until a fresh worker serves.
 * - While a worker is worn, the pool may have one worker more than `desired`. All desired workers must serve, and the
 *   worker that was recycled before must have gone. Workers that drain after a change of `desired` come on top.
 * - Each vacancy has its own wait: a place where no worker can boot does not delay the others.
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
  // The newest go. The others are closer to the end of their boot.
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
 * Fills `missing` places: vacancies once they have waited long enough and, if there are too few vacancies, new places at
 * once. If there are too many, forgets the vacancies with the longest wait.
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
