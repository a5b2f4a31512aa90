import type { RuleSetting } from "../config/rule-settings.ts";
import type { Client } from "../http/client.ts";
import type { ParsedTarget } from "../http/target-path.ts";
import type { RuleContext, Step } from "./kind.ts";
import { KINDS } from "./kinds.ts";
import { findOtherReadings, toRuleKey } from "./path-readings.ts";
import { createRuleTable } from "./rule-table.ts";

/** Most sets of rules whose steps are kept. Clients choose the set, by their fields. */
const REMEMBERED_SETS = 1000;

/**
 * Compiles the rules of one site.
 *
 * The steps of a request depend only on the set of rules that hold for it. They are composed when the first request
 * needs them. A request whose path has several readings is answered 400 if these choose different rules.
 *
 * @returns Stages of the site; none if there are no rules.
 */
export function compileRules(
  rules: readonly RuleSetting[],
  context: RuleContext,
): { stages: readonly Step[] } {
  if (rules.length === 0) return { stages: [] };
  const find = createRuleTable(rules.map(({ when }) => when));
  const root: SetNode = { next: new Map(), step: null };
  let remembered = 0;

  function stepOf(numbers: readonly number[]): Step {
    let node = root;
    for (const number of numbers) {
      let next = node.next.get(number);
      if (next === undefined) {
        if (remembered === REMEMBERED_SETS) return compose(numbers);
        remembered++;
        next = { next: new Map(), step: null };
        node.next.set(number, next);
      }
      node = next;
    }
    node.step ??= compose(numbers);
    return node.step;
  }

  function compose(numbers: readonly number[]): Step {
    const held = numbers.flatMap((number) => rules[number] ?? []);
    return composeSteps(held, context);
  }

  const found: number[] = [];
  function stage(client: Client, target: ParsedTarget): ReturnType<Step> {
    const { pathname } = target;
    const request = { client, target };
    found.length = 0;
    find(toRuleKey(pathname), request, found);
    const readings = findOtherReadings(pathname);
    if (readings !== null) {
      for (const key of readings) {
        const other: number[] = [];
        find(key, request, other);
        if (isSame(found, other)) continue;
        client.refuse(400);
        return "done";
      }
    }
    return found.length === 0 ? "next" : stepOf(found)(client, target);
  }
  return { stages: [stage] };
}

/** A set of rules: the numbers on the way from the root. */
interface SetNode {
  next: Map<number, SetNode>;
  /** `null`: not composed yet. */
  step: Step | null;
}

function isSame(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((number, at) => number === other[at]);
}

/** Composes the steps of all kinds for the rules that hold for a request, in the order of the kinds. */
function composeSteps(rules: readonly RuleSetting[], context: RuleContext): Step {
  // From the last kind to the first: each gets the way to the steps after it.
  const steps: Step[] = [];
  let serveRest = context.serveRest;
  for (const kind of KINDS.toReversed()) {
    const step = kind(rules, { context, serveRest });
    if (step === null) continue;
    steps.unshift(step);
    const after = serveRest;
    serveRest = (client, target) => {
      const outcome = step(client, target);
      if (outcome === "next") after(client, target);
      else if (outcome !== "done") outcome.answer(client, target);
    };
  }
  const [only, ...others] = steps;
  if (only === undefined) return () => "next";
  if (others.length === 0) return only;
  return (client, target) => {
    for (const step of steps) {
      const outcome = step(client, target);
      if (outcome !== "next") return outcome;
    }
    return "next";
  };
}
