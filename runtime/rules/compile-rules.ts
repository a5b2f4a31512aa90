import type { RuleSetting } from "../config/rule-settings.ts";
import type { Client } from "../http/client.ts";
import { lead } from "../http/responder.ts";
import type { ParsedTarget } from "../http/target-path.ts";
import type { Kind, RuleContext, Step } from "./kind.ts";
import { KINDS } from "./kinds.ts";
import { findOtherReadings, toRuleKey } from "./path-readings.ts";
import { createRuleTable } from "./rule-table.ts";
import { SetTable } from "./set-table.ts";

/** Compiled rules of one site. */
export interface CompiledRules {
  /** Stages of the site, one or none. */
  stages: readonly Step[];
  /**
   * Passes a request whose target was changed after the rules to the gates of rules that hold only for its new path.
   *
   * @param before The path for which the request has passed the rules.
   */
  checkRewritten: (client: Client, target: ParsedTarget, before: string) => ReturnType<Step>;
}

/**
 * Compiles the rules of one site.
 *
 * The steps of a request depend only on the set of rules that hold for it. They are composed when the first request
 * needs them. A request whose path has several readings is answered 400 if these choose different rules.
 */
export function compileRules(rules: readonly RuleSetting[], context: RuleContext): CompiledRules {
  const isAlwaysNeeded = context.canonical !== null;
  if (rules.length === 0 && !isAlwaysNeeded) return { stages: [], checkRewritten: () => "next" };
  const find = createRuleTable(rules.map(({ when }) => when));

  function findFor(client: Client, target: ParsedTarget, pathname: string): Found {
    const request = { client, target };
    const numbers: number[] = [];
    find(toRuleKey(pathname), request, numbers);
    const readings = findOtherReadings(pathname);
    if (readings === null) return { numbers, isClear: true };
    const others = readings.map((key) => {
      const other: number[] = [];
      find(key, request, other);
      return other;
    });
    if (others.every((other) => isSame(numbers, other))) return { numbers, isClear: true };
    const common = numbers.filter((number) => others.every((other) => other.includes(number)));
    return { numbers: common, isClear: false };
  }

  /** Serves a request to a path with the kinds of these phases. `before`: rules that it has passed. */
  function gate(client: Client, target: ParsedTarget, before: readonly number[]): ReturnType<Step> {
    const { numbers, isClear } = findFor(client, target, target.pathname);
    if (!isClear) return refuseReadings(client);
    if (isSame(numbers, before)) return "next";
    const { gates } = tablesFor(client);
    return gates.get([...before, rules.length, ...numbers])(client, target);
  }

  function compose(
    numbers: readonly number[],
    { phases, isRecorded }: { phases: readonly Kind["phase"][]; isRecorded: boolean },
  ): Step {
    const held = numbers.flatMap((number) => rules[number] ?? []);
    const kinds = KINDS.filter(({ phase }) => phases.includes(phase));
    const checkRewritten: Step = (client, target) => gate(client, target, numbers);
    return composeSteps({ kinds, rulesOf: () => held, context, checkRewritten, isRecorded });
  }

  /** @param pair The rules of the path before a rewrite, the number of all rules, the rules of the path after it. */
  function composeGates(pair: readonly number[], isRecorded: boolean): Step {
    const middle = pair.indexOf(rules.length);
    const before = pair.slice(0, middle).flatMap((number) => rules[number] ?? []);
    const after = pair.slice(middle + 1).flatMap((number) => rules[number] ?? []);
    const kinds = KINDS.filter(({ phase }) => phase === "gate");
    const rulesOf = ({ firstOf }: Kind): RuleSetting[] => {
      if (firstOf === undefined) return after.filter((rule) => !before.includes(rule));
      const counts = (rule: RuleSetting): boolean => rule[firstOf] !== undefined;
      // The first path may have turned off a rule that holds for both.
      return after.find(counts) === before.find(counts) ? [] : after;
    };
    return composeSteps({ kinds, rulesOf, context, checkRewritten: () => "next", isRecorded });
  }

  /** Creates the tables of the steps by the set of rules. */
  function createTables(isRecorded: boolean): Tables {
    return {
      all: new SetTable((numbers) => compose(numbers, { phases: ALL_PHASES, isRecorded })),
      gates: new SetTable((pair) => composeGates(pair, isRecorded)),
      replies: new SetTable((numbers) => compose(numbers, { phases: ["reply"], isRecorded })),
    };
  }

  const tables = createTables(false);
  /** The same steps for requests that are explained. `null`: there was none. */
  let recorded: Tables | null = null;

  function tablesFor(client: Client): Tables {
    if (client.inquiry === undefined) return tables;
    recorded ??= createTables(true);
    return recorded;
  }

  function stage(client: Client, target: ParsedTarget): ReturnType<Step> {
    const { numbers, isClear } = findFor(client, target, target.pathname);
    const { all, replies } = tablesFor(client);
    if (isClear) {
      return numbers.length > 0 || isAlwaysNeeded ? all.get(numbers)(client, target) : "next";
    }
    const outcome = replies.get(numbers)(client, target);
    return outcome === "next" ? refuseReadings(client) : "done";
  }

  return {
    stages: [stage],
    checkRewritten: (client, target, before) =>
      gate(client, target, findFor(client, target, before).numbers),
  };
}

/** The rules that hold for a request. */
interface Found {
  numbers: number[];
  /** False: the readings of the path choose different rules, and `numbers` are those of all readings. */
  isClear: boolean;
}

/** The steps of requests, by the rules that hold for them. */
interface Tables {
  readonly all: SetTable<Step>;
  readonly gates: SetTable<Step>;
  readonly replies: SetTable<Step>;
}

const ALL_PHASES: readonly Kind["phase"][] = ["first", "reply", "gate", "answer"];

/** Answers a request whose path has several readings, of which different rules hold. */
function refuseReadings(client: Client): "done" {
  const refuse = (): "done" => {
    client.refuse(400);
    return "done";
  };
  return client.inquiry === undefined
    ? refuse()
    : client.inquiry.step(
        { name: "readings of the path choose different rules", rules: [] },
        refuse,
      );
}

function isSame(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((number, at) => number === other[at]);
}

/** Composes the steps of these kinds for their rules, in the order of the kinds. */
function composeSteps({
  kinds,
  rulesOf,
  context,
  checkRewritten,
  isRecorded,
}: {
  kinds: readonly Kind[];
  rulesOf: (kind: Kind) => readonly RuleSetting[];
  context: RuleContext;
  checkRewritten: Step;
  /** The steps are for requests that are explained. */
  isRecorded: boolean;
}): Step {
  // From the last kind to the first: each gets the way to the steps after it.
  const steps: Step[] = [];
  let serveRest = context.serveRest;
  for (const kind of kinds.toReversed()) {
    const own = rulesOf(kind);
    const composed = kind.compose(own, { context, serveRest, checkRewritten });
    if (composed === null) continue;
    const step = isRecorded ? record(composed, kind, own) : composed;
    steps.unshift(step);
    const after = serveRest;
    serveRest = (client, target) => {
      const outcome = step(client, target);
      if (outcome === "next") after(client, target);
      else if (outcome !== "done") lead(outcome, client, target);
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

/** Makes a step record itself in the inquiry of the request. */
function record(step: Step, { actions }: Kind, rules: readonly RuleSetting[]): Step {
  const held = rules.filter((rule) => actions.some((action) => rule[action] !== undefined));
  const carriedOut = actions.filter((action) => held.some((rule) => rule[action] !== undefined));
  const name = carriedOut.length === 0 ? "httpsRedirect, canonicalHost" : carriedOut.join(", ");
  const named = { name, rules: held.map(({ key }) => key) };
  return (client, target) => {
    const run = (): ReturnType<Step> => step(client, target);
    return client.inquiry === undefined ? run() : client.inquiry.step(named, run);
  };
}
