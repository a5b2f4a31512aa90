import type { WorkerId } from "../channel/messages.ts";
import { assertNever } from "../lib/errors.ts";
import type { RecycleReason } from "./recycle-policy.ts";
import { countFailedBoots, type Life, restartDelayMs } from "./restart-policy.ts";

/**
 * One process of a pool.
 *
 *     vacancy ──started──▶ starting ──ready──▶ ready ──retired──▶ draining ──exited──▶ nothing
 *        ▲                   │    └─────────────│────retired──────────▲
 *        └──────exited───────┴──────exited──────┘
 *
 * A draining member leaves nothing behind. Any other member leaves a vacancy. Its wait depends on the member's life.
 */
export type Member =
  | { readonly kind: "starting"; readonly id: WorkerId; readonly failedBoots: number }
  | { readonly kind: "ready"; readonly id: WorkerId; readonly recycle: RecycleReason | null }
  | { readonly kind: "draining"; readonly id: WorkerId };

/** The place of a worker that ended unexpectedly. */
export interface Vacancy {
  /** How many workers in a row could not boot here. */
  readonly failedBoots: number;
  /** The next worker starts here no earlier than this. */
  readonly notBeforeMs: number;
}

/**
 * The state on which `reconcile` decides.
 *
 * Invariants, once the actions of `reconcile` are done: starting members, ready members and vacancies are together as
 * many as desired, or one more while a worn one is to be replaced.
 */
export interface PoolState {
  /** Oldest first. */
  readonly members: readonly Member[];
  readonly vacancies: readonly Vacancy[];
}

export type PoolEvent =
  /** A process was created, in the place of a vacancy or in a new one. */
  | { type: "started"; id: WorkerId; vacancy: Vacancy | null }
  /** The system creates no process. */
  | { type: "not-started"; vacancy: Vacancy | null; nowMs: number }
  | { type: "ready"; id: WorkerId }
  /** A fresh worker should replace the worker. The first reason stays. */
  | { type: "worn"; id: WorkerId; reason: RecycleReason }
  | { type: "forgotten"; vacancy: Vacancy }
  /** The worker was told to end, gracefully or at once. */
  | { type: "retired"; id: WorkerId }
  | { type: "exited"; id: WorkerId; life: Life; nowMs: number };

export const EMPTY_POOL: PoolState = { members: [], vacancies: [] };

/** Returns the next state. Pure. An event that a member does not expect changes nothing. */
export function advance(state: PoolState, event: PoolEvent): PoolState {
  switch (event.type) {
    case "started": {
      const { id, vacancy } = event;
      const member: Member = { kind: "starting", id, failedBoots: vacancy?.failedBoots ?? 0 };
      return { members: [...state.members, member], vacancies: without(state.vacancies, vacancy) };
    }
    case "not-started": {
      const { vacancy, nowMs } = event;
      const next = toVacancy(vacancy?.failedBoots ?? 0, { readyForMs: null }, nowMs);
      return { ...state, vacancies: [...without(state.vacancies, vacancy), next] };
    }
    case "forgotten":
      return { ...state, vacancies: without(state.vacancies, event.vacancy) };
    case "ready":
      return change(state, event.id, (member) =>
        member.kind === "starting" ? { kind: "ready", id: member.id, recycle: null } : member,
      );
    case "worn":
      return change(state, event.id, (member) =>
        member.kind === "ready" && member.recycle === null
          ? { ...member, recycle: event.reason }
          : member,
      );
    case "retired":
      return change(state, event.id, ({ id }) => ({ kind: "draining", id }));
    case "exited": {
      const gone = state.members.find(({ id }) => id === event.id);
      if (gone === undefined) return state;
      const members = state.members.filter((member) => member !== gone);
      if (gone.kind === "draining") return { ...state, members };
      const failedBoots = gone.kind === "starting" ? gone.failedBoots : 0;
      const vacancy = toVacancy(failedBoots, event.life, event.nowMs);
      return { members, vacancies: [...state.vacancies, vacancy] };
    }
    default:
      return assertNever(event);
  }
}

/** A pool without a ready worker is down when each place has failed to boot this many times. */
const DOWN_AFTER_FAILED_BOOTS = 3;

/** Tells whether no worker serves and none will soon: each place has failed again and again. */
export function isDown({ members, vacancies }: PoolState): boolean {
  const places: { failedBoots: number }[] = [...vacancies];
  for (const member of members) {
    if (member.kind === "ready") return false;
    if (member.kind === "starting") places.push(member);
  }
  return (
    places.length > 0 && places.every(({ failedBoots }) => failedBoots >= DOWN_AFTER_FAILED_BOOTS)
  );
}

function toVacancy(failedBefore: number, life: Life, nowMs: number): Vacancy {
  const failedBoots = countFailedBoots(failedBefore, life);
  return { failedBoots, notBeforeMs: nowMs + restartDelayMs(failedBoots, life) };
}

function without(vacancies: readonly Vacancy[], taken: Vacancy | null): readonly Vacancy[] {
  return taken === null ? vacancies : vacancies.filter((vacancy) => vacancy !== taken);
}

function change(state: PoolState, id: WorkerId, to: (member: Member) => Member): PoolState {
  return { ...state, members: state.members.map((each) => (each.id === id ? to(each) : each)) };
}
