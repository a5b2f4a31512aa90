import type { Client } from "../../http/client.ts";
import type { Kind, Step } from "../kind.ts";

/** Admits requests at a rate. All limits of all rules count. */
export const limitRate: Kind = {
  phase: "guard",
  compose: (rules, { context }) =>
    admitBy(rules.flatMap((rule) => context.guards.rateLimiterOf(rule) ?? [])),
};

/** Admits a number of requests at a time. All limits of all rules count. */
export const limitConcurrency: Kind = {
  phase: "guard",
  compose: (rules, { context }) =>
    admitBy(rules.flatMap((rule) => context.guards.concurrencyLimiterOf(rule) ?? [])),
};

function admitBy(limiters: readonly { admits(client: Client): boolean }[]): Step | null {
  const [only, ...others] = limiters;
  if (only === undefined) return null;
  if (others.length === 0) return (client) => (only.admits(client) ? "next" : "done");
  return (client) => (limiters.every((limiter) => limiter.admits(client)) ? "next" : "done");
}

/** Asks for a user's name and password. The first rule wins: it may turn authentication off. */
export const authenticate: Kind = {
  phase: "guard",
  firstOf: "basicAuth",
  compose(rules, { context, serveRest }) {
    const auths = rules.map((rule) => context.guards.basicAuthOf(rule));
    const auth = auths.find((each) => each !== undefined) ?? null;
    return auth === null ? null : (client) => auth.check(client, serveRest);
  },
};

/** Asks a service whether a request may pass. The first rule wins: it may turn this off. */
export const askService: Kind = {
  phase: "guard",
  firstOf: "forwardAuth",
  compose(rules, { context, serveRest }) {
    const auths = rules.map((rule) => context.guards.forwardAuthOf(rule));
    const auth = auths.find((each) => each !== undefined) ?? null;
    return auth === null ? null : (client) => auth.check(client, serveRest);
  },
};
