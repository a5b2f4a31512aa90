import { parseSplatPattern } from "../lib/path-pattern.ts";
import { parsePathTemplate } from "../lib/path-template.ts";
import { parsePlace } from "./headers-file.ts";
import type { ReportLine } from "./rule-files.ts";
import type { RuleConditions } from "./rule-settings.ts";

/** A line of `_redirects`. */
export interface RedirectEntry {
  readonly key: string;
  readonly when: RuleConditions;
  /** A template of `lib/path-template.ts`. */
  readonly to: string;
  /** 200: the target is served under the path of the client. 404: likewise, with this status. Otherwise a redirect. */
  readonly status: number;
  /** Holds where a file or a route has the path, too. */
  readonly isForced: boolean;
  /** Placeholders by the parameter of the query that has their value. */
  readonly fromQuery: Readonly<Record<string, string>>;
}

/** Bounds of a file. A larger file was hardly written as `_redirects`. Cloudflare Pages takes 2,000 rules, and 100 with wildcards. */
const MOST_RULES = 5_000;
const MOST_WILD = 500;
const MOST_CHARACTERS = 1_000;

const STATUSES: readonly number[] = [200, 301, 302, 303, 307, 308, 404];

const LINE_EXPECTED = 'a line such as "/old/* /new/:splat 301"';

/** Parses `_redirects`: `FROM [QUERY=VALUE ...] TO [STATUS[!]]` on each line. */
export function parseRedirectsFile(text: string, report: ReportLine): RedirectEntry[] {
  const entries: RedirectEntry[] = [];
  let wild = 0;
  text.split(/\r?\n/).forEach((raw, index) => {
    const line = raw.replace(/(?:^|\s)#.*$/, "").trim();
    const number = index + 1;
    if (line === "") return;
    if (line.length > MOST_CHARACTERS) {
      report(number, line, `at most ${MOST_CHARACTERS} characters`);
      return;
    }
    const entry = parseLine(line, (found, expected) => report(number, found, expected));
    if (entry === null) return;
    entries.push({ ...entry, key: `_redirects:${number}` });
    if (/[:*]/.test(entry.when.paths?.[0] ?? "")) wild++;
    if (entries.length === MOST_RULES + 1) report(number, line, `at most ${MOST_RULES} rules`);
    if (wild === MOST_WILD + 1) report(number, line, `at most ${MOST_WILD} rules with wildcards`);
  });
  return entries;
}

function parseLine(
  line: string,
  report: (found: string, expected: string) => void,
): Omit<RedirectEntry, "key"> | null {
  const [from = "", ...words] = line.split(/\s+/);
  const query: string[] = [];
  while (words[0] !== undefined && /^[^/:=]+=/.test(words[0])) query.push(words.shift() ?? "");
  const [to, word = "301", ...more] = words;
  if (to === undefined) {
    report(line, LINE_EXPECTED);
    return null;
  }
  const when = parsePlace(from);
  if ("expected" in when) {
    report(from, when.expected);
    return null;
  }
  const [, status = "", force = ""] = /^(\d{3})(!?)$/.exec(word) ?? [];
  if (!STATUSES.includes(Number(status))) {
    report(word, `one of ${STATUSES.join(", ")}, perhaps with "!"`);
    return null;
  }
  if (more.length > 0) {
    report(
      more.join(" "),
      "no conditions on country, language or role: use rules in the config file",
    );
    return null;
  }
  const conditions = query.map((condition) => {
    const [name = "", value = ""] = condition.split(/=(.*)/s);
    const [, placeholder] = /^:([A-Za-z_]\w*)$/.exec(value) ?? [];
    return { name, value, placeholder };
  });
  const pattern = parseSplatPattern(when.paths?.[0] ?? "/");
  const names = "expected" in pattern ? [] : pattern.names;
  const captured = conditions.flatMap(({ placeholder }) => placeholder ?? []);
  const template = parsePathTemplate(to, [...names, ...captured]);
  if ("expected" in template) {
    report(to, template.expected);
    return null;
  }
  const isServed = status === "200" || status === "404";
  if (isServed && !to.startsWith("/")) {
    report(to, "a path of this site: this server is no proxy for others here");
    return null;
  }
  return {
    when: {
      ...when,
      query: conditions.map(({ name, value, placeholder }) => ({
        name,
        value: placeholder === undefined ? value : true,
      })),
    },
    to,
    status: Number(status),
    isForced: force === "!",
    fromQuery: Object.fromEntries(
      conditions.flatMap(({ name, placeholder }) =>
        placeholder === undefined ? [] : [[placeholder, name]],
      ),
    ),
  };
}
