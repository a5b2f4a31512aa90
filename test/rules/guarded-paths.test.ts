import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import * as fc from "fast-check";
import type { UserRule } from "../../runtime/config/user-config.ts";
import { FileIndex } from "../../runtime/files/file-index.ts";
import { DEFAULT_FILE_SETTINGS, FilePolicy } from "../../runtime/files/file-policy.ts";
import { parseTarget } from "../../runtime/http/target-path.ts";
import { createMatcher } from "../../runtime/route/match.ts";
import { SuiteOwner } from "../helpers/suite-owner.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { createSite } from "./ask-rules.ts";

/** Rules that refuse every client, and the decoded paths that they guard. */
const GUARDS: readonly { rule: UserRule; guards: RegExp }[] = [
  { rule: { path: "/admin/**", deny: ["127.0.0.1", "::1"] }, guards: /^\/admin(?:\/|$)/ },
  { rule: { path: "/a/:id/b", respond: { status: 403 } }, guards: /^\/a\/[^/]+\/b\/?$/ },
  { rule: { path: "/assets/*.css", deny: "127.0.0.1" }, guards: /^\/assets\/[^/]*\.css\/?$/ },
  { rule: { path: "/staff/**", maintenance: true }, guards: /^\/staff(?:\/|$)/ },
];

const OTHERS: readonly UserRule[] = [
  { path: "/v1/**", rewrite: "/:splat" },
  { path: "/r/:name", rewrite: "/:name/secret.txt" },
  { path: "/x/**", rewrite: "/assets/:splat?from=x" },
  { setFields: { "x-all": "1" } },
  { path: "/assets/**", setFields: { "x-assets": "1" } },
];

const FILES = `
  admin/secret.txt admin/index.html admin/x/index.html admin/x;y.txt admin/é a/7/b
  a/x/b.html a/admin/b/index.html assets/app.css assets/x.css x.html staff/secret.txt
  staff/404.html index.html 404.html x/secret.txt
`
  .trim()
  .split(/\s+/);

const ROUTES = ["/admin/panel", "/admin/x/:id", "/a/:id/b", "/assets/:name.css", "/staff/**:path"];

const SEGMENTS = `
  admin staff assets secret.txt x.css admin %61dmin adm%69n ADMIN admin;x admin%zz admin%00
  admin. panel secret.txt secret%2etxt index.html index 404.html x x.html x%3By.txt a 7 b
  assets app.css app.cs%73 x.css staff v1 r %C3%A9 %ff .. . %2e%2E .%2e %2e ... ..; %252e
  %20 %0a %2a :id
`
  .trim()
  .split(/\s+/)
  .concat("");

const SEPARATORS = `
  / / / / // %2f %2F %5c \\ /./ /%2e/ /x/../ /x%2f..%2f %2f..%5c /x%5cx/..%2f
`
  .trim()
  .split(/\s+/);

const ENDS = ["", "", "", "/", "//", "?", "?a=/admin", "#", "/..", "%2f", "%20", ".html", "?/../x"];

describe("a guarded path", () => {
  const owner = new SuiteOwner();
  after(() => owner.end());
  const indexes: FileIndex[] = [];

  before(async () => {
    const folder = temporaryFolder(owner);
    for (const name of FILES) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), name);
    }
    for (const trailingSlash of ["auto", "always", "never"] as const) {
      for (const cleanUrls of [true, false, "redirect"] as const) {
        const policy = new FilePolicy({ ...DEFAULT_FILE_SETTINGS, trailingSlash, cleanUrls });
        const index = await FileIndex.open(folder, { policy, log: { warn: () => {} } });
        owner.after(() => index.close());
        indexes.push(index);
      }
    }
  });

  const isGuarded = (rules: readonly UserRule[], path: string): boolean =>
    GUARDS.some(({ rule, guards }) => rules.includes(rule) && guards.test(path));

  const target = fc
    .tuple(
      fc.constantFrom("", "", "", "/v1", "/r"),
      fc.array(fc.tuple(fc.constantFrom(...SEPARATORS), fc.constantFrom(...SEGMENTS)), {
        minLength: 1,
        maxLength: 5,
      }),
      fc.constantFrom(...ENDS),
    )
    .map(([start, parts, end]) => `${start}/${parts.flat().join("").replace(/^\//, "")}${end}`);
  const ruleSet = fc.shuffledSubarray([...GUARDS.map(({ rule }) => rule), ...OTHERS]);

  // A page has two paths, and a rule for one path names one of them (docs/rules.md). All paths in a folder are guarded.
  it("has no spelling by which a file or a route answers", () => {
    const seed = Date.now();
    const match = createMatcher({
      routes: ROUTES.map((pattern) => ({ pattern })),
      fallbacks: [],
    });
    const index = fc.nat({ max: 8 });
    let found = 0;
    fc.assert(
      fc.property(
        ruleSet,
        fc.array(target, { minLength: 40, maxLength: 40 }),
        index,
        (rules, targets, at) => {
          const ask = createSite(rules);
          for (const written of targets) {
            const { served } = ask(written);
            if (served === null) continue;
            const parsed = parseTarget(served.target);
            assert.ok(parsed.ok);
            const entry = parsed.path === null ? undefined : indexes[at]?.lookup(parsed.path, 0);
            const file = entry?.kind === "file" ? entry.path : null;
            const route = match(parsed.pathname);
            const pattern =
              route !== null && "route" in route ? (ROUTES[route.route] ?? null) : null;
            if (file !== null || pattern !== null) found++;
            const what = `seed ${seed}: ${written} gets ${file ?? pattern} with ${JSON.stringify(rules)}`;
            assert.ok(file === null || !isGuarded(rules, file), what);
            // A route's pattern looks like the paths that it takes.
            assert.ok(pattern === null || !isGuarded(rules, pattern), what);
          }
        },
      ),
      { seed, numRuns: 60 },
    );
    assert.ok(found > 0, "unguarded files and routes are found");
  });
});
