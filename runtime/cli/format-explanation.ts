import type { Explanation, ExplainedStep } from "../control/explanation.ts";
import { formatTable } from "./format-table.ts";

/** Formats an explanation for a person. Ends with a line feed. */
export function formatExplanation(explanation: Explanation): string {
  const { request, site, certificate, steps, limits, remarks } = explanation;
  const { file, route, pool, cache, proxy } = explanation;
  const { method, url, client, peer } = request;
  const facts = [
    ["client", client === peer ? client : `${client}, named by the trusted proxy ${peer}`],
    ["site", site === null ? "none" : site.name],
    ...(certificate === null
      ? []
      : [["certificate", `${certificate.file}, until ${certificate.notAfter}`]]),
    ...(file === undefined ? [] : [["file", file.file]]),
    ...(route === undefined ? [] : [["route", describeRoute(route)]]),
    ...(pool === undefined
      ? []
      : [["pool", `${pool.pool}, ${pool.ready} of ${pool.workers} workers ready`]]),
    ...(proxy === undefined ? [] : [["upstream", describeProxy(proxy)]]),
    ...(cache === undefined ? [] : [["cache", describeCache(cache)]]),
  ];
  const losers = route?.losers ?? [];
  const lines = [
    `${method} ${url}`,
    `answer: ${describeVerdict(explanation)}`,
    ...remarks.map((remark) => `note: ${remark}`),
    "",
    ...formatTable(facts),
    ...(losers.length === 0 ? [] : ["", "routes that match and are less specific"]),
    ...formatTable(losers.map((loser) => [`  ${loser.pattern}`, loser.file])),
    "",
    "steps",
    ...formatTable(steps.map(toRow)).flatMap((row, at) => [
      row,
      ...(steps[at]?.notes ?? []).map((note) => `      ${note}`),
    ]),
    ...(limits.length === 0 ? [] : ["", "limits"]),
    ...formatTable(limits.map(({ name, value, from }) => [`  ${name}`, value, from])),
  ];
  return `${lines.join("\n")}\n`;
}

function toRow({ name, rules, decides }: ExplainedStep): string[] {
  return [decides ? "  >" : "   ", name, decides ? "decides" : "passes", rules.join(", ")];
}

function describeVerdict({ verdict, route, request, steps }: Explanation): string {
  const decider = steps.find(({ decides }) => decides);
  const by = decider === undefined ? "" : `, by ${decider.rules[0] ?? decider.name}`;
  switch (verdict.kind) {
    case "reply": {
      const to = verdict.location === null ? "" : ` to ${verdict.location}`;
      return `${verdict.status}${to}${by}`;
    }
    case "cached":
      return `${verdict.status} from the response cache`;
    case "proxy":
      return `the upstream server decides${by}`;
    case "handler": {
      const methods = route?.methods ?? [];
      const isMissing = methods.length > 0 && !methods.includes(request.method);
      return isMissing
        ? `405: the route has only ${methods.join(", ")}`
        : `the handler ${route?.file ?? ""} decides`;
    }
    case "open":
      return `no decision within the time of an explanation${by}`;
  }
}

function describeRoute({ pattern, file, use, params }: NonNullable<Explanation["route"]>): string {
  const values = Object.entries(params).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const given = values.length === 0 ? "" : ` (${values.join(", ")})`;
  return `${use === "fallback" ? "none, the fallback " : ""}${pattern}${given} in ${file}`;
}

function describeProxy({ group, target, servers }: NonNullable<Explanation["proxy"]>): string {
  const shown = servers.map(({ name, state }) => `${name} ${state}`).join(", ");
  return `${group}, as ${target} (${shown})`;
}

function describeCache(cache: NonNullable<Explanation["cache"]>): string {
  const { result, url, cookies, isPersonal, ageMs, lifetimeMs } = cache;
  const key = [url, ...cookies.map((name) => `cookie ${name}`)].join(" and ");
  const personal = isPersonal ? ", personal" : "";
  const age =
    ageMs === null || lifetimeMs === null
      ? ""
      : `, ${Math.round(ageMs / 1_000)} s old, fresh for ${Math.round(lifetimeMs / 1_000)} s in all`;
  return `${result}, key ${key}${personal}${age}`;
}
