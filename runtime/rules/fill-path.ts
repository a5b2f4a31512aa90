import type { RedirectEntry } from "../config/redirects-file.ts";
import type { RuleSetting } from "../config/rule-settings.ts";
import { matchesPattern, readPatternValues } from "../lib/path-pattern.ts";
import { fillTemplate, parsePathTemplate } from "../lib/path-template.ts";
import { encodePathText, toPathKey } from "../lib/path-key.ts";
import type { ParsedTarget } from "../http/target-path.ts";
import { toRuleKey } from "./path-readings.ts";
import { toPatterns } from "./rule-table.ts";

/** Returns the target of a redirect or rewrite for a request. */
export type FillPath = (target: ParsedTarget) => string;

/**
 * Compiles the template of a rule.
 *
 * @throws TypeError for a template that the check of the config refuses.
 */
export function compileTemplate(
  to: string,
  { when, fromQuery = {} }: Pick<RuleSetting, "when"> & { fromQuery?: RedirectEntry["fromQuery"] },
): FillPath {
  const patterns = toPatterns(when) ?? [];
  const captured = Object.entries(fromQuery);
  const names = [
    ...new Set(patterns.flatMap((pattern) => pattern.names)),
    ...captured.map(([name]) => name),
  ];
  const template = parsePathTemplate(to, names);
  if ("expected" in template) throw new TypeError(`no template: ${to}`);
  if (template.path.length === 1 && (template.query?.length ?? 1) === 1) {
    return ({ search }) => fillTemplate(template, {}, search);
  }
  return ({ pathname, search }) => {
    const key = toRuleKey(pathname);
    const pattern = patterns.find((each) => matchesPattern(each, key));
    if (pattern === undefined) return fillTemplate(template, {}, search);
    // A `**` keeps the slash at the end.
    const whole = toPathKey(pathname);
    const values = readPatternValues(pattern, pattern.expression.test(whole) ? whole : key);
    if (captured.length === 0) return fillTemplate(template, values, search);
    const query = new URLSearchParams(search);
    for (const [name, parameter] of captured) {
      values[name] = encodePathText(query.get(parameter) ?? "");
      query.delete(parameter);
    }
    return fillTemplate(template, values, query.size === 0 ? "" : `?${query.toString()}`);
  };
}
