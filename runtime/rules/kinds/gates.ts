import type { Client } from "../../http/client.ts";
import type { Kind, Step } from "../kind.ts";

/** Admits requests at a rate. All limits of all rules count. */
export const limitRate: Kind = {
  actions: ["rateLimit"],
  phase: "gate",
  compose: (rules, { context }) =>
    admitBy(rules.flatMap((rule) => context.gates.rateLimiterOf(rule) ?? [])),
};

/** Admits a number of requests at a time. All limits of all rules count. */
export const limitConcurrency: Kind = {
  actions: ["concurrencyLimit"],
  phase: "gate",
  compose: (rules, { context }) =>
    admitBy(rules.flatMap((rule) => context.gates.concurrencyLimiterOf(rule) ?? [])),
};

function admitBy(limiters: readonly { admits(client: Client): boolean }[]): Step | null {
  const [only, ...others] = limiters;
  if (only === undefined) return null;
  if (others.length === 0) return (client) => (only.admits(client) ? "next" : "done");
  return (client) => (limiters.every((limiter) => limiter.admits(client)) ? "next" : "done");
}

/** Asks for a user's name and password. The first rule wins: it may turn authentication off. */
export const authenticate: Kind = {
  actions: ["basicAuth"],
  phase: "gate",
  firstOf: "basicAuth",
  compose(rules, { context, serveRest }) {
    const auths = rules.map((rule) => context.gates.basicAuthOf(rule));
    const auth = auths.find((each) => each !== undefined) ?? null;
    return auth === null ? null : (client) => auth.check(client, serveRest);
  },
};

/** Asks a service whether a request may pass. The first rule wins: it may turn this off. */
export const askService: Kind = {
  actions: ["forwardAuth"],
  phase: "gate",
  firstOf: "forwardAuth",
  compose(rules, { context, serveRest }) {
    const auths = rules.map((rule) => context.gates.forwardAuthOf(rule));
    const auth = auths.find((each) => each !== undefined) ?? null;
    return auth === null ? null : (client) => auth.check(client, serveRest);
  },
};
