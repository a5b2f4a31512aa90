import type { WorkerId } from "../channel/messages.ts";
import { assertNever } from "../lib/errors.ts";

/**
 * Events that a worker has at a time, at most. A reload moves a WebSocket once the worker has confirmed these, so the
 * number bounds how long a slow handler delays it.
 */
export const MOST_DELIVERED = 16;

/**
 * How many crashes an event may be a part of, before it counts as their cause although its worker also had other work.
 */
const MOST_CRASHES = 3;

/**
 * Where the state of a WebSocket is, and which events its handler has confirmed.
 *
 *     asleep ──event──▶ waiting ──home found──▶ awake ──last event confirmed──▶ over
 *       ▲                 ▲                      │ │
 *       │                 └── lost, or left ─────┘ │
 *       └── lost or left, all events confirmed ────┘
 *
 * `asleep`: no worker knows the WebSocket, and none is needed. `waiting`: events wait for a worker. `awake`: the worker
 * `home` knows it. With `leaves`, the home gets no more events, and the WebSocket leaves it once it has confirmed the
 * events that it has.
 *
 * Invariant: `confirmed` ≤ `delivered` ≤ `received`, and in all states but `awake`, `delivered` is `confirmed`.
 */
export interface Residence {
  readonly at: "asleep" | "waiting" | "awake" | "over";
  /** `null` in all states but `awake`. */
  readonly home: WorkerId | null;
  readonly leaves: boolean;
  /** Number of the last event that came. Events are numbered from 1. */
  readonly received: number;
  /** Number of the last event that the home has. */
  readonly delivered: number;
  /** Number of the last event whose handler has ended. */
  readonly confirmed: number;
  /** The event that ends the WebSocket has come: it is the last one. */
  readonly isClosed: boolean;
  /** How many workers crashed since the last confirmation, while they had events of this WebSocket. */
  readonly crashes: number;
  /** Number of the last event that a worker had when it crashed; 0: none. Events up to it are suspects. */
  readonly suspectTo: number;
  /** The event after `confirmed` is the cause of crashes. */
  readonly isPoison: boolean;
}

/** Tells whether the next event was in a worker that crashed. Such an event is delivered alone. */
export function isSuspect({ confirmed, suspectTo }: Residence): boolean {
  return confirmed < suspectTo;
}

/** Tells whether a worker has events that it has not confirmed. */
export function isBusy({ delivered, confirmed }: Residence): boolean {
  return delivered > confirmed;
}

/** An event in the life of a WebSocket. */
export type ResidenceEvent =
  /** The client sent a message, or, with `isLast`, the WebSocket ended. */
  | { readonly type: "received"; readonly isLast: boolean }
  /** A ready worker takes the WebSocket. */
  | { readonly type: "found"; readonly home: WorkerId }
  | { readonly type: "confirmed"; readonly home: WorkerId; readonly number: number }
  /**
   * A worker is lost. With `isSuspect`, its own work may be the cause. With `isAlone`, the events of this WebSocket were
   * its only work.
   */
  | {
      readonly type: "lost";
      readonly home: WorkerId;
      readonly isSuspect: boolean;
      readonly isAlone: boolean;
    }
  /** A worker takes nothing new. */
  | { readonly type: "retired"; readonly home: WorkerId };

/** The state of a WebSocket that its worker has just accepted. */
export function settledAt(home: WorkerId): Residence {
  return { ...NEW, at: "awake", home };
}

const NEW: Residence = {
  at: "asleep",
  home: null,
  leaves: false,
  received: 0,
  delivered: 0,
  confirmed: 0,
  isClosed: false,
  crashes: 0,
  suspectTo: 0,
  isPoison: false,
};

/**
 * Returns the next state. Pure: the caller compares both states. A `home` that is new must be told about the WebSocket,
 * events up to `delivered` must be sent, and a home that is `null` now must forget it.
 *
 * An event that a state does not expect changes nothing: confirmations of former homes come late.
 */
export function moveOn(state: Residence, event: ResidenceEvent): Residence {
  if (state.at === "over") return state;
  switch (event.type) {
    case "received": {
      if (state.isClosed) return state;
      const next = { ...state, received: state.received + 1, isClosed: event.isLast };
      if (state.at === "asleep") return { ...next, at: "waiting" };
      return state.at === "awake" ? deliver(next) : next;
    }
    case "found":
      return state.at === "waiting" ? deliver({ ...state, at: "awake", home: event.home }) : state;
    case "confirmed": {
      const { number } = event;
      if (state.home !== event.home || number <= state.confirmed || number > state.delivered) {
        return state;
      }
      const next = { ...state, confirmed: number, crashes: 0 };
      if (next.isClosed && number === next.received) return { ...vacate(next), at: "over" };
      if (next.leaves) return number === next.delivered ? vacate(next) : next;
      return deliver(next);
    }
    case "lost": {
      if (state.home !== event.home) return state;
      if (!event.isSuspect || !isBusy(state)) return vacate(state);
      const crashes = state.crashes + 1;
      // One event was delivered, and it is in its second crash, or in more.
      const isPoison = isSuspect(state) && (event.isAlone || crashes >= MOST_CRASHES);
      const suspectTo = Math.max(state.suspectTo, state.delivered);
      return vacate({ ...state, crashes, suspectTo, isPoison });
    }
    case "retired":
      if (state.home !== event.home) return state;
      return isBusy(state) ? { ...state, leaves: true } : vacate(state);
    default:
      return assertNever(event);
  }
}

function deliver(state: Residence): Residence {
  if (state.leaves) return state;
  const most = isSuspect(state) ? 1 : MOST_DELIVERED;
  const delivered = Math.min(state.received, state.confirmed + most);
  return delivered === state.delivered ? state : { ...state, delivered };
}

/** Returns the state without a home. The events that are not confirmed wait for another one. */
function vacate(state: Residence): Residence {
  const at = state.received > state.confirmed ? "waiting" : "asleep";
  return { ...state, at, home: null, leaves: false, delivered: state.confirmed };
}
