import { assertNever } from "../lib/errors.ts";

/**
 * The state of a worker process.
 *
 *     starting ──ready──▶ ready ──drain──▶ draining ──▶ exited
 *         └─────────────────┴──────────────── exit ──────▲
 *
 * The deadline of a draining worker only comes closer.
 */
export type WorkerState =
  | { kind: "starting"; sinceMs: number }
  | { kind: "ready"; sinceMs: number }
  | { kind: "draining"; deadlineMs: number }
  | { kind: "exited"; code: number | null; signal: NodeJS.Signals | null };

export type WorkerEvent =
  | { type: "ready"; nowMs: number }
  | { type: "drain"; deadlineMs: number }
  | { type: "exit"; code: number | null; signal: NodeJS.Signals | null };

/** Returns the next state. Pure: no clock, process or log. An event that a state does not expect changes nothing. */
export function transition(state: WorkerState, event: WorkerEvent): WorkerState {
  if (state.kind === "exited") return state;
  switch (event.type) {
    case "ready":
      return state.kind === "starting" ? { kind: "ready", sinceMs: event.nowMs } : state;
    case "drain":
      return {
        kind: "draining",
        deadlineMs:
          state.kind === "draining"
            ? Math.min(state.deadlineMs, event.deadlineMs)
            : event.deadlineMs,
      };
    case "exit":
      return { kind: "exited", code: event.code, signal: event.signal };
    default:
      return assertNever(event);
  }
}
