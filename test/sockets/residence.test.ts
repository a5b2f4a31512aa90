import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { WorkerId } from "../../runtime/channel/messages.ts";
import {
  moveOn,
  MOST_DELIVERED,
  type Residence,
  type ResidenceEvent,
  settledAt,
} from "../../runtime/sockets/residence.ts";

const [A, B] = [1 as WorkerId, 2 as WorkerId];

function run(state: Residence, ...events: ResidenceEvent[]): Residence {
  return events.reduce(moveOn, state);
}

const said: ResidenceEvent = { type: "received", isLast: false };
const closed: ResidenceEvent = { type: "received", isLast: true };
const confirmed = (number: number, home = A): ResidenceEvent => ({
  type: "confirmed",
  home,
  number,
});
const lost = (isSuspect = false, { home = A, isAlone = false } = {}): ResidenceEvent => ({
  type: "lost",
  home,
  isSuspect,
  isAlone,
});
const retired: ResidenceEvent = { type: "retired", home: A };
const found: ResidenceEvent = { type: "found", home: B };

describe("moveOn()", () => {
  const cases: [name: string, events: ResidenceEvent[], expected: Partial<Residence>][] = [
    ["delivers at once", [said], { at: "awake", delivered: 1, confirmed: 0 }],
    ["confirms", [said, said, confirmed(2)], { at: "awake", delivered: 2, confirmed: 2 }],
    ["confirms in part", [said, said, confirmed(1)], { delivered: 2, confirmed: 1 }],
    ["falls asleep when its idle home is lost", [lost()], { at: "asleep", home: null }],
    ["falls asleep when its idle home retires", [retired], { at: "asleep", home: null }],
    ["waits when a busy home is lost", [said, lost()], { at: "waiting", delivered: 0 }],
    ["stays at a busy home that retires", [said, retired], { at: "awake", leaves: true }],
    ["gives such a home nothing new", [said, retired, said], { delivered: 1, received: 2 }],
    [
      "leaves such a home between two messages",
      [said, retired, said, confirmed(1)],
      { at: "waiting", home: null, leaves: false, confirmed: 1, delivered: 1 },
    ],
    [
      "sends a new home all that is not confirmed",
      [said, said, said, confirmed(1), lost(), found],
      { at: "awake", home: B, confirmed: 1, delivered: 3 },
    ],
    ["wakes for a message", [lost(), said], { at: "waiting", received: 1 }],
    ["finds a home only if events wait", [lost(), found], { at: "asleep", home: null }],
    ["ignores a former home", [said, lost(), found, confirmed(1, A)], { confirmed: 0 }],
    ["ignores confirmations of the future", [said, confirmed(2)], { confirmed: 0 }],
    ["ignores the loss of another worker", [said, { ...lost(), home: B } as never], { home: A }],
    ["is over with its last event", [closed, confirmed(1)], { at: "over", home: null }],
    ["is not over before", [said, closed, confirmed(1)], { at: "awake" }],
    ["takes nothing after its end", [closed, said], { received: 1 }],
    ["wakes a worker for its end", [lost(), closed, found], { home: B, delivered: 1 }],
    ["counts crashes of busy homes", [said, lost(true)], { crashes: 1 }],
    ["counts no crashes of idle homes", [lost(true)], { crashes: 0 }],
    ["counts no losses by others", [said, lost(false)], { crashes: 0 }],
    [
      "delivers suspects one by one",
      [said, said, said, lost(true), found],
      { delivered: 1, crashes: 1, suspectTo: 3, isPoison: false },
    ],
    [
      "stays suspect until all events of the crash are confirmed",
      [said, said, lost(true), found, confirmed(1, B), said],
      { delivered: 2, confirmed: 1 },
    ],
    [
      "trusts again afterwards",
      [said, lost(true), found, said, said, confirmed(1, B)],
      { delivered: 3 },
    ],
    [
      "blames a suspect that was alone in a crash",
      [said, said, lost(true), found, lost(true, { home: B, isAlone: true })],
      { isPoison: true, at: "waiting" },
    ],
    ["blames none in its first crash", [said, lost(true, { isAlone: true })], { isPoison: false }],
    [
      "blames a suspect beside other work in its third crash",
      [said, lost(true), found, lost(true, { home: B }), found, lost(true, { home: B })],
      { isPoison: true },
    ],
    ["forgets crashes", [said, lost(true), found, confirmed(1, B)], { crashes: 0, confirmed: 1 }],
  ];
  for (const [name, events, expected] of cases) {
    it(name, () => {
      const state = run(settledAt(A), ...events);
      for (const [key, value] of Object.entries(expected)) {
        assert.equal(state[key as keyof Residence], value, key);
      }
    });
  }

  it("delivers no more than a bounded number ahead", () => {
    const many = Array.from({ length: MOST_DELIVERED + 5 }, () => said);
    const full = run(settledAt(A), ...many);
    assert.equal(full.delivered, MOST_DELIVERED);
    assert.equal(moveOn(full, confirmed(3)).delivered, MOST_DELIVERED + 3);
  });
});
