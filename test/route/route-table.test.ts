import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { createRouteTable } from "../../runtime/route/route-table.ts";

/** One line per route and fallback, with file names instead of numbers. */
function summarize(paths: string[]): string[] {
  const { modules, routes, fallbacks, problems } = createRouteTable(paths, "handlers");
  assert.deepEqual(problems, []);
  const scope = ({ middleware, error }: { middleware: number[]; error: number | null }): string =>
    [
      ...middleware.map((module) => ` < ${modules[module]}`),
      error === null ? "" : ` ! ${modules[error]}`,
    ].join("");
  return [
    ...routes.flatMap((route) =>
      route.handlers.map(
        ({ method, module }) =>
          `${method ?? "*"} ${route.pattern} = ${modules[module]}${scope(route)}`,
      ),
    ),
    ...fallbacks.map(
      (fallback) => `404 ${fallback.pattern} = ${modules[fallback.module]}${scope(fallback)}`,
    ),
  ];
}

describe("createRouteTable()", () => {
  const names: [file: string, route: string | null][] = [
    ["index.ts", "* /"],
    ["hello.ts", "* /hello"],
    ["hello.tsx", "* /hello"],
    ["hello.mts", "* /hello"],
    ["hello.js", "* /hello"],
    ["hello.jsx", "* /hello"],
    ["hello.mjs", "* /hello"],
    ["hello.cjs", "* /hello"],
    ["api/index.ts", "* /api"],
    ["index/a.ts", "* /index/a"],
    ["api/users/[id].ts", "* /api/users/:id"],
    ["users/[user_id]/posts/[post_id].ts", "* /users/:user_id/posts/:post_id"],
    ["[lang]/index.ts", "* /:lang"],
    ["docs/[...path].ts", "* /docs/**:path"],
    ["docs/[[...path]].ts", "* /docs/**:path"],
    ["[...].ts", "* /**:_"],
    ["[...path]/index.ts", "* /**:path"],
    ["(group)/x.ts", "* /x"],
    ["(a)/(b)/index.ts", "* /"],
    ["a(b)/x.ts", "* /a\\(b\\)/x"],
    ["users.get.ts", "GET /users"],
    ["users.head.ts", "HEAD /users"],
    ["users.post.ts", "POST /users"],
    ["users.put.ts", "PUT /users"],
    ["users.patch.ts", "PATCH /users"],
    ["users.delete.ts", "DELETE /users"],
    ["users.options.ts", "OPTIONS /users"],
    ["index.get.ts", "GET /"],
    ["[id].delete.ts", "DELETE /:id"],
    ["[...path].get.ts", "GET /**:path"],
    ["get.ts", "* /get"],
    ["users.GET.ts", "* /users.GET"],
    ["robots.txt.ts", "* /robots.txt"],
    ["robots.txt.get.ts", "GET /robots.txt"],
    ["v1.2.ts", "* /v1.2"],
    ["[id].json.ts", "* /:id.json"],
    ["user-[id].ts", "* /user-:id"],
    ["caf\u0065\u0301.ts", "* /café"],
    ["a b.ts", "* /a%20b"],
    ["100%.ts", "* /100%25"],
    ["test.ts", "* /test"],
    ["hello.d.ts", null],
    ["hello.d.mts", null],
    ["hello.test.ts", null],
    ["hello.spec.tsx", null],
    ["hello.json", null],
    ["README.md", null],
    ["hello", null],
    ["_lib.ts", null],
    ["_lib/x.ts", null],
    ["a/_parts/index.ts", null],
    [".hidden.ts", null],
    [".git/x.ts", null],
    ["node_modules/x/index.js", null],
    ["_middleware.get.ts", null],
  ];
  for (const [file, route] of names) {
    it(`makes ${route ?? "nothing"} of ${file}`, () => {
      assert.deepEqual(summarize([file]), route === null ? [] : [`${route} = ${file}`]);
    });
  }

  it("collects the methods of a route", () => {
    assert.deepEqual(summarize(["users.post.ts", "users.ts", "users.get.ts"]), [
      "GET /users = users.get.ts",
      "POST /users = users.post.ts",
      "* /users = users.ts",
    ]);
  });

  it("wraps routes in the middleware of their folders, outermost first", () => {
    const files = [
      "_middleware.ts",
      "index.ts",
      "api/_middleware.js",
      "api/v1/x.ts",
      "api/(admin)/_middleware.ts",
      "api/(admin)/y.ts",
      "api/z.ts",
      "api.ts",
    ];
    assert.deepEqual(summarize(files), [
      "* / = index.ts < _middleware.ts",
      "* /api = api.ts < _middleware.ts",
      "* /api/v1/x = api/v1/x.ts < _middleware.ts < api/_middleware.js",
      "* /api/y = api/(admin)/y.ts < _middleware.ts < api/_middleware.js < api/(admin)/_middleware.ts",
      "* /api/z = api/z.ts < _middleware.ts < api/_middleware.js",
    ]);
  });

  it("gives routes the nearest error file", () => {
    const files = ["_error.ts", "a.ts", "b/c.ts", "b/_error.tsx", "b/d/e.ts"];
    assert.deepEqual(summarize(files), [
      "* /a = a.ts ! _error.ts",
      "* /b/c = b/c.ts ! b/_error.tsx",
      "* /b/d/e = b/d/e.ts ! b/_error.tsx",
    ]);
  });

  it("makes fallbacks of _404 files, wrapped like routes", () => {
    const files = ["_404.ts", "docs/_404.ts", "docs/_middleware.ts", "[user]/_404.ts", "_error.ts"];
    assert.deepEqual(summarize([...files, "[...rest]/_404.ts"].slice(1)), [
      "404 /** = [...rest]/_404.ts ! _error.ts",
      "404 /:user/** = [user]/_404.ts ! _error.ts",
      "404 /docs/** = docs/_404.ts < docs/_middleware.ts ! _error.ts",
    ]);
    assert.deepEqual(summarize(["_404.ts"]), ["404 /** = _404.ts"]);
  });

  it("lists middleware that wraps nothing, so that it is compiled and checked too", () => {
    assert.deepEqual(createRouteTable(["_middleware.ts"], "handlers").modules, ["_middleware.ts"]);
  });

  it("allows different parameter names where the rest of the path differs", () => {
    assert.deepEqual(summarize(["[id]/a.ts", "[slug]/b.ts"]), [
      "* /:id/a = [id]/a.ts",
      "* /:slug/b = [slug]/b.ts",
    ]);
  });

  const problems: [paths: string[], problem: string][] = [
    [
      ["a.ts", "a.js"],
      "Cannot use handlers/a.js and handlers/a.ts: both are /a, expected one file",
    ],
    [
      ["a.ts", "a/index.ts"],
      "Cannot use handlers/a.ts and handlers/a/index.ts: both are /a, expected one file",
    ],
    [
      ["(x)/a.get.ts", "a.get.ts"],
      "Cannot use handlers/(x)/a.get.ts and handlers/a.get.ts: both are GET /a, expected one file",
    ],
    [
      ["[id].ts", "[slug].post.ts"],
      "Cannot use handlers/[id].ts and handlers/[slug].post.ts: /:id and /:slug match the same paths, expected the same parameter names",
    ],
    [
      ["[...a].ts", "[[...b]].get.ts"],
      "Cannot use handlers/[...a].ts and handlers/[[...b]].get.ts: /**:a and /**:b match the same paths, expected the same parameter names",
    ],
    [
      ["a.get.ts", "a/index.post.ts", "a/_middleware.ts"],
      "Cannot use handlers/a.get.ts and handlers/a/index.post.ts: both are /a, but different _middleware or _error files serve them, expected both in one folder",
    ],
    [
      ["_middleware.ts", "_middleware.js"],
      "Cannot use handlers/_middleware.js and handlers/_middleware.ts: both are the _middleware of one folder, expected one file",
    ],
    [
      ["_404.ts", "(x)/_404.ts"],
      "Cannot use handlers/(x)/_404.ts and handlers/_404.ts: both are the fallback of /**, expected one file",
    ],
    [["[.ts"], 'Cannot use handlers/[.ts: found "[", expected one [name] or [...name] in it'],
    [
      ["a]/b.ts"],
      'Cannot use handlers/a]/b.ts: found "a]", expected one [name] or [...name] in it',
    ],
    [
      ["[[id]].ts"],
      'Cannot use handlers/[[id]].ts: found "[[id]]", expected one [name] or [...name] in it',
    ],
    [
      ["[a]-[b].ts"],
      'Cannot use handlers/[a]-[b].ts: found "[a]-[b]", expected one [name] or [...name] in it',
    ],
    [
      ["[].ts"],
      'Cannot use handlers/[].ts: found parameter name "", expected a letter or _, then letters, digits or _',
    ],
    [
      ["[user-id].ts"],
      'Cannot use handlers/[user-id].ts: found parameter name "user-id", expected a letter or _, then letters, digits or _',
    ],
    [
      ["[__proto__].ts"],
      'Cannot use handlers/[__proto__].ts: found parameter name "__proto__", expected a letter or _, then letters, digits or _',
    ],
    [
      ["a-[...b].ts"],
      "Cannot use handlers/a-[...b].ts: found text around [...b], expected it to be the whole name",
    ],
    [
      ["[...a]/b.ts"],
      "Cannot use handlers/[...a]/b.ts: found a segment after [...a], expected it to be the last",
    ],
    [
      ["[a]/[a].ts"],
      'Cannot use handlers/[a]/[a].ts: found two parameters named "a" in /:a/:a, expected different names',
    ],
    [
      ["a.ts", "a.py"],
      "Cannot use handlers/a.ts and handlers/a.py: both answer /a, expected one file: no two processes can share a route",
    ],
    [
      ["a.get.py", "a.post.py"],
      "Cannot use handlers/a.post.py and handlers/a.get.py: both answer /a, expected one file: no two processes can share a route",
    ],
    [
      ["a/b/c.py", "a/_middleware.ts"],
      'Cannot use handlers/a/b/c.py and handlers/a/_middleware.ts: middleware does not run for a Python application, expected the .py file in a folder without _middleware above it, or the application in the setting "mounts"',
    ],
  ];
  for (const [paths, problem] of problems) {
    it(`refuses ${paths.join(" with ")}`, () => {
      assert.deepEqual(createRouteTable(paths, "handlers").problems, [problem]);
    });
  }

  it("reports all problems", () => {
    const table = createRouteTable(["[.ts", "a.ts", "a.js", "ok.ts", "].ts"], "handlers");
    assert.equal(table.problems.length, 3);
    assert.deepEqual(
      table.routes.map(({ pattern }) => pattern),
      ["/ok"],
    );
  });

  it("does not depend on the order of the files", () => {
    const files = names
      .filter(([, route]) => route?.includes("/api") === true)
      .map(([file]) => file);
    const all = [...files, "_middleware.ts", "api/_error.ts", "x.ts", "Y.ts", "é.ts", "_404.js"];
    fc.assert(
      fc.property(fc.shuffledSubarray(all, { minLength: all.length }), (shuffled) => {
        assert.deepEqual(createRouteTable(shuffled, "h"), createRouteTable(all, "h"));
      }),
    );
  });
});
