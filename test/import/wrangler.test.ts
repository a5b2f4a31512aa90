import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import * as fc from "fast-check";
import { runImport } from "../../runtime/cli/import/import.ts";
import type { Remark } from "../../runtime/cli/import/report.ts";
import { toCron } from "../../runtime/cli/import/wrangler/carry-triggers.ts";
import { readJsonc } from "../../runtime/cli/import/wrangler/read-jsonc.ts";
import { readToml } from "../../runtime/cli/import/wrangler/read-toml.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const MODULE = "export default { fetch() { return new Response() } }";

interface Imported {
  config: Record<string, unknown>;
  handlers: Record<string, string>;
  remarks: Remark[];
  exitCode: number;
}

function folder(t: TestContext, files: Record<string, string>): string {
  const dir = temporaryFolder(t);
  for (const [name, text] of Object.entries({ "src/index.ts": MODULE, ...files })) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
  return dir;
}

/** Imports without writing. */
async function read(
  cwd: string,
  word: string,
  environment: string | null = null,
): Promise<Imported> {
  const options = { words: [word], environment, json: true, cwd, env: process.env };
  const { text, exitCode } = await runImport(options);
  // The form of `--json`.
  return { ...(JSON.parse(text) as Omit<Imported, "exitCode">), exitCode };
}

/** Imports lines after `main`. */
async function convert(
  t: TestContext,
  lines: string,
  { files = {}, environment = null }: Options = {},
): Promise<Imported> {
  const dir = folder(t, { ...files, "wrangler.toml": `main = "src/index.ts"\n${lines}` });
  return read(dir, "wrangler.toml", environment);
}

interface Options {
  files?: Record<string, string>;
  environment?: string | null;
}

/** Lines, the new config, and a pattern for each remark that needs a look. */
type Case = readonly [lines: string, config: object, remarks: RegExp[]];

function testCases(cases: readonly Case[], options?: Options): void {
  for (const [lines, config, patterns] of cases) {
    it(lines.trim().replaceAll("\n", " | "), async (t) => {
      const found = await convert(t, lines, options);
      assert.deepEqual(found.config, config);
      const shown = found.remarks
        .filter(({ kind }) => kind !== "unused")
        .map(({ kind, place, line, reason }) => `${kind} ${place} ${line}: ${reason}`);
      assert.equal(shown.length, patterns.length, shown.join("\n"));
      for (const [index, pattern] of patterns.entries()) assert.match(shown[index] ?? "", pattern);
      assert.equal(found.exitCode, patterns.length > 0 ? 1 : 0);
    });
  }
}

describe("bindings of wrangler.toml", () => {
  testCases([
    ["", {}, []],
    ['vars = { TITLE = "Shop", EMPTY = "" }', { bindings: { TITLE: "Shop", EMPTY: "" } }, []],
    [
      'vars = { COUNT = 3, OFF = false, LEVELS = { low = [1, "2"], __proto__ = {} } }',
      {
        bindings: {
          COUNT: { json: 3 },
          OFF: { json: false },
          LEVELS: { json: JSON.parse('{ "low": [1, "2"], "__proto__": {} }') as unknown },
        },
      },
      [],
    ],
    [
      '[vars]\n"MY-TITLE" = "x"',
      {},
      [/^lost wrangler\.toml:3 vars\.MY-TITLE: a name in env has letters/],
    ],
    [
      'compatibility_date = "2025-04-01"\ncompatibility_flags = ["nodejs_compat"]\nvars = { A = "1" }',
      { bindings: { A: "1" } },
      [/^changed wrangler\.toml:4 vars: process\.env does not have them/],
    ],
    [
      'compatibility_date = "2025-03-31"\ncompatibility_flags = ["nodejs_compat"]\nvars = { A = "1" }',
      { bindings: { A: "1" } },
      [],
    ],
    [
      '[[kv_namespaces]]\nbinding = "CARTS"\nid = "1"\n[[kv_namespaces]]\nbinding = "OLD"\nid = "1"\n[[kv_namespaces]]\nbinding = "carts"\nid = "2"',
      {
        bindings: { CARTS: { kv: "carts" }, OLD: { kv: "carts" }, carts: { kv: "carts-2" } },
      },
      [],
    ],
    [
      'name = "shop"\nservices = [\n{ binding = "SELF", service = "shop" },\n{ binding = "API", service = "api_v2" },\n{ binding = "RPC", service = "shop", entrypoint = "Admin" }\n]',
      { bindings: { SELF: { service: "default" } } },
      [
        /^lost wrangler\.toml:5 services\[1\] API: found no project api_v2 .*API: \{ service: "api-v2\.internal" \}/,
        /^lost wrangler\.toml:6 services\[2\] RPC: only the default export .*Admin/,
      ],
    ],
    [
      '[[ratelimits]]\nname = "LIMIT"\nnamespace_id = "1"\nsimple = { limit = 100, period = 60 }',
      { bindings: { LIMIT: { rateLimit: { limit: 100, period: "60s" } } } },
      [],
    ],
    [
      '[[unsafe.bindings]]\nname = "LIMIT"\ntype = "ratelimit"\nnamespace_id = "1"\nsimple = { limit = 5, period = 10 }\n[[unsafe.bindings]]\nname = "X"\ntype = "new"',
      { bindings: { LIMIT: { rateLimit: { limit: 5, period: "10s" } } } },
      [
        /^lost wrangler\.toml:7 unsafe\.bindings\[1\] X: this server has no binding of the type new/,
      ],
    ],
    [
      '[vars]\nJOBS = "x"\n[[queues.producers]]\nbinding = "JOBS"\nqueue = "jobs"',
      { bindings: { JOBS: "x" } },
      [/another binding has the name JOBS/],
    ],
    [
      'name = "a"\nservices = [{ binding = "A", service = "a", environment = "production", remote = true }, { binding = "B", service = "a", environment = "old" }]',
      { bindings: { A: { service: "default" }, B: { service: "default" } } },
      [/^changed .* services\[1\]\.environment: calls reach the environment of this import/],
    ],
  ]);
});

/** Makes projects beside one another. Returns the folder around them. */
function projects(t: TestContext, files: Record<string, string>): string {
  const services = ["mail", "mail", "a_b", "a-b", "broken", "python", "gone"].map(
    (service, at) => `{ binding = "S${at}", service = "${service}" }`,
  );
  return folder(t, {
    "own/src/index.ts": MODULE,
    "own/wrangler.toml": `name = "own"\nmain = "src/index.ts"\nservices = [${services.join(", ")}]`,
    "mail/wrangler.jsonc": '{ "name": "mail", "main": "src/main.mts" }',
    "mail/src/main.mts": MODULE,
    "x/wrangler.toml": 'name = "a_b"\nmain = "x.js"',
    "x/x.js": MODULE,
    "y/wrangler.toml": 'name = "a-b"\nmain = "y.js"',
    "y/y.js": MODULE,
    "broken/wrangler.toml": 'name = "broken"\nmain =',
    "python/wrangler.toml": 'name = "python"\nmain = "p.py"',
    "python/p.py": "",
    "gone/wrangler.toml": 'name = "gone"\nmain = "gone.js"',
    ...files,
  });
}

describe("services of wrangler.toml in folders beside it", () => {
  it("become sites that no visitor reaches, with one host for each", async (t) => {
    const dir = join(projects(t, {}), "own");
    const { config, handlers, remarks } = await read(dir, "wrangler.toml");
    const closed = { rules: [{ path: "/**", respond: { status: 404 } }] };
    assert.deepEqual(config, {
      // A start without this folder fails.
      handlers: "handlers",
      sites: { "mail.internal": closed, "a-b.internal": closed },
      bindings: {
        S0: { service: "mail.internal" },
        S1: { service: "mail.internal" },
        S2: { service: "a-b.internal" },
      },
    });
    assert.deepEqual(Object.keys(handlers), [
      "sites/mail.internal/handlers/[...path].js",
      "sites/a-b.internal/handlers/[...path].js",
      "handlers/[...path].js",
    ]);
    assert.match(
      handlers["sites/mail.internal/handlers/[...path].js"] ?? "",
      /\nexport \{ default \} from "\.\.\/\.\.\/\.\.\/\.\.\/mail\/src\/main\.mts";\n$/,
    );
    assert.deepEqual(
      remarks.map(({ kind, line }) => `${kind} ${line}`),
      [
        "todo services[0] S0",
        "todo services[1] S1",
        "todo services[2] S2",
        "lost services[3] S3",
        "lost services[4] S4",
        "lost services[5] S5",
        "lost services[6] S6",
      ],
    );
    assert.match(remarks[0]?.reason ?? "", /the bindings of \.\.\/mail\/wrangler\.jsonc here/);
    assert.match(remarks[3]?.reason ?? "", /^found sites\/a-b\.internal: write .* \.\.\/y\/y\.js,/);
  });

  it("leave a site that is there alone", async (t) => {
    const dir = join(projects(t, { "own/sites/mail.internal/public/a": "" }), "own");
    const { config, remarks } = await read(dir, "wrangler.toml");
    assert.deepEqual(config["bindings"], { S2: { service: "a-b.internal" } });
    assert.match(remarks[0]?.reason ?? "", /^found sites\/mail\.internal: write /);
  });
});

describe("keys within tables of wrangler.toml", () => {
  const inner: readonly [lines: string, key: string, near: string][] = [
    ['[triggers]\ncron = ["* * * * *"]', "triggers.cron", "crons"],
    ["[queues]\nconsumer = []", "queues.consumer", "consumers"],
    [
      '[[queues.producers]]\nbinding = "A"\nqueue = "a"\ndelivery_delai = 5',
      "queues.producers[0].delivery_delai",
      "delivery_delay",
    ],
    [
      '[[queues.consumers]]\nqueue = "a"\nmax_retrys = 5',
      "queues.consumers[0].max_retrys",
      "max_retries",
    ],
    [
      '[[queues.consumers]]\nqueue = "a"\nmax_retries = 1\nmax_batch_sizes = 5',
      "queues.consumers[0].max_batch_sizes",
      "max_batch_size",
    ],
    ['[[kv_namespaces]]\nbinding = "A"\nidd = "a"', "kv_namespaces[0].idd", "id"],
    [
      '[[services]]\nbinding = "A"\nservice = "a"\nentry_point = "B"\n[[services]]\nbinding = "B"\nservice = "a"',
      "services[0].entry_point",
      "entrypoint",
    ],
    [
      '[[ratelimits]]\nname = "L"\nnamespace = "1"\nnamespace_ids = "1"\nsimple = { limit = 1, period = 10 }',
      "ratelimits[0].namespace_ids",
      "namespace_id",
    ],
    [
      '[[ratelimits]]\nname = "L"\nsimple = { limit = 1, period = 10, perod = 60 }',
      "ratelimits[0].simple.perod",
      "period",
    ],
  ];
  for (const [lines, key, near] of inner) {
    it(`are reported with the nearest one: ${key}`, async (t) => {
      const { remarks } = await convert(t, lines);
      const found = remarks.find(({ line }) => line === key);
      assert.equal(found?.kind, "lost");
      assert.match(found.reason, /^this key is not known, expected one of /);
      assert.ok(found.reason.endsWith(`: did you mean ${near}?`), found.reason);
    });
  }

  it("need no look if they are about development or have no effect", async (t) => {
    const lines = `
[[kv_namespaces]]
binding = "A"
id = "1"
preview_id = "2"
remote = true
[[queues.producers]]
binding = "B"
queue = "b"
remote = true
[[queues.consumers]]
queue = "b"
type = "worker"
visibility_timeout_ms = 5000
`;
    const { remarks, exitCode } = await convert(t, lines);
    assert.equal(exitCode, 0);
    assert.deepEqual(
      remarks.map(({ kind, line }) => `${kind} ${line}`),
      [
        "unused kv_namespaces[0].preview_id",
        "unused kv_namespaces[0].remote",
        "unused queues.producers[0].remote",
        "unused queues.consumers[0].visibility_timeout_ms",
      ],
    );
  });
});

describe("stores of wrangler.toml", () => {
  testCases([['[[kv_namespaces]]\nbinding = "A"', { bindings: { A: { kv: "a" } } }, []]]);
});

describe("kinds of wrangler.toml without a counterpart", () => {
  const kinds = [
    ["ai", '[ai]\nbinding = "X"'],
    ["analytics_engine_datasets", '[[analytics_engine_datasets]]\nbinding = "X"'],
    ["browser", 'browser = { binding = "X" }'],
    ["d1_databases", '[[d1_databases]]\nbinding = "X"'],
    ["dispatch_namespaces", '[[dispatch_namespaces]]\nbinding = "X"'],
    ["durable_objects", '[[durable_objects.bindings]]\nname = "X"'],
    ["hyperdrive", '[[hyperdrive]]\nbinding = "X"'],
    ["images", '[images]\nbinding = "X"'],
    ["mtls_certificates", '[[mtls_certificates]]\nbinding = "X"'],
    ["pipelines", '[[pipelines]]\nbinding = "X"'],
    ["r2_buckets", 'r2_buckets = [{ binding = "X" }]'],
    ["secrets_store_secrets", '[[secrets_store_secrets]]\nbinding = "X"'],
    ["send_email", '[[send_email]]\nname = "X"'],
    ["vectorize", '[[vectorize]]\nbinding = "X"'],
    ["version_metadata", 'version_metadata = { binding = "X" }'],
    ["worker_loaders", '[[worker_loaders]]\nbinding = "X"'],
    ["workflows", '[[workflows]]\nname = "flow"\nbinding = "X"'],
  ] as const;
  testCases(
    kinds.map(([kind, lines]): Case => [
      lines,
      {},
      [new RegExp(`^lost wrangler\\.toml:2 ${kind}\\S* X: this server has no such binding: use `)],
    ]),
  );
  testCases([
    ["logpush = true", {}, [/^lost wrangler\.toml:2 logpush: .*log/]],
    ["logpush = false\ntail_consumers = []", {}, []],
    ['tail_consumers = [{ service = "t" }]', {}, [/tail\(\) is never called/]],
    ['[[containers]]\nimage = "./Dockerfile"', {}, [/no containers/]],
    ['define = { A = "1" }', {}, [/no text in the code is replaced/]],
    ['alias = { a = "b" }', {}, [/tsconfig\.json/]],
    ["kv_namespace = []", {}, [/^lost .* kv_namespace: .*did you mean kv_namespaces\?/]],
    ["qwertz_uiop = 1", {}, [/^lost .* qwertz_uiop: this key is not known$/]],
    ['toString = "x"', {}, [/^lost .* toString: this key is not known/]],
  ]);

  it("names keys without effect, which need no look", async (t) => {
    const lines =
      'compatibility_date = "2025-06-01"\nworkers_dev = true\n[placement]\nmode = "smart"';
    const { remarks, exitCode } = await convert(t, lines);
    assert.equal(exitCode, 0);
    assert.deepEqual(
      remarks.map(({ place, line, kind }) => `${kind} ${place} ${line}`),
      [
        "unused wrangler.toml:2 compatibility_date",
        "unused wrangler.toml:3 workers_dev",
        "unused wrangler.toml:4 placement",
      ],
    );
  });
});

function aliases(...names: string[]): object {
  return { sites: { default: { aliases: names } } };
}

describe("server settings of wrangler.toml", () => {
  testCases([
    ['route = "shop.example/*"', aliases("shop.example"), []],
    [
      'routes = [{ pattern = "a.example", custom_domain = true }, "https://b.example/*", "*/*"]',
      aliases("a.example", "b.example"),
      [],
    ],
    ['route = "a.example/api/*"', aliases("a.example"), [/the module answers at all paths/]],
    ['route = "*.a.example/*"', aliases("*.a.example"), [/exactly one label more/]],
    ['route = "*a.example/*"', aliases("a.example", "*.a.example"), [/exactly one label more/]],
    ['route = "a.*.example/*"', {}, [/^lost .* route a\.\*\.example/]],
    ["[dev]\nport = 3000", { http: 3000 }, []],
    ['[dev]\nport = 3000\nip = "0.0.0.0"\nlocal_protocol = "https"', { https: 3000 }, []],
    ["[dev]\nprot = 3000", {}, [/^lost .* dev\.prot: this key is not known/]],
    ["[limits]\ncpu_ms = 50", {}, [/^changed wrangler\.toml:3 limits\.cpu_ms: CPU time/]],
    [
      '[build]\ncommand = "npm run build"\ncwd = "web"',
      {},
      [/^todo wrangler\.toml:3 build\.command: run it .* in web: npm run build/],
    ],
    ['rules = [{ type = "Text", globs = ["**/*.html", "**/*.txt"] }]', {}, []],
    [
      '[[rules]]\ntype = "Text"\nglobs = ["**/*.glsl"]',
      {},
      [/^lost wrangler\.toml:4 rules\[0\]\.globs\[0\] \*\*\/\*\.glsl: .*\.txt/],
    ],
  ]);
});

function hidden(...path: string[]): object {
  return { public: "dist", cleanUrls: "redirect", rules: [{ path, respond: { status: 404 } }] };
}

/** Imports a project for Pages with a module and this `_routes.json`. */
function pagesOf(t: TestContext, routes: string): Promise<Imported> {
  const dir = folder(t, {
    "dist/_worker.js": MODULE,
    "dist/_routes.json": routes,
    "wrangler.toml": 'main = "dist/_worker.js"\npages_build_output_dir = "dist"',
  });
  return read(dir, "wrangler.toml");
}

describe("assets of wrangler.toml", () => {
  const files = { "dist/index.html": "hi" };
  const dist = { public: "dist", cleanUrls: "redirect" };
  testCases(
    [
      ['assets = { directory = "./dist" }', dist, []],
      [
        '[assets]\ndirectory = "dist"\nbinding = "FILES"\nnot_found_handling = "404-page"',
        { ...dist, bindings: { FILES: { assets: true } } },
        [],
      ],
      [
        '[assets]\ndirectory = "dist"\nhtml_handling = "force-trailing-slash"',
        { ...dist, trailingSlash: "always" },
        [],
      ],
      [
        '[assets]\ndirectory = "dist"\nhtml_handling = "drop-trailing-slash"',
        { ...dist, trailingSlash: "never" },
        [],
      ],
      [
        '[assets]\ndirectory = "dist"\nhtml_handling = "none"',
        { ...dist, cleanUrls: false },
        [/^changed .* assets\.html_handling: a folder answers with its index\.html/],
      ],
      ['[assets]\ndirectory = "gone"', { ...dist, public: "gone" }, [/build the project first/]],
      [
        '[assets]\ndirectory = "."',
        {
          ...dist,
          public: ".",
          rules: [{ path: ["/src/index.ts/**"], respond: { status: 404 } }],
        },
        [/the folder has the whole project/, /^changed .* src\/index\.ts with 404/],
      ],
      [
        '[assets]\nbinding = "A"',
        { cleanUrls: "redirect", bindings: { A: { assets: true } } },
        [/set `public`/],
      ],
      [
        '[site]\nbucket = "dist"\nexclude = ["*.map"]',
        { public: "dist" },
        [/^changed .* site\.bucket: files are answered before/, /^lost .* site\.exclude/],
      ],
    ],
    { files },
  );
  testCases([['assets = { directory = "dist" }', dist, []]], {
    files: { ...files, "dist/_worker.js": "", "dist/.assetsignore": "_worker.js\n/a/*.txt\n" },
  });

  const pages = ["/_worker.js/**", "/_routes.json/**"];
  const modes: readonly [name: string, files: string[], lines: string, Expected][] = [
    ["that is not built yet", [], "", [hidden(...pages), [/^todo: .*build the project/]]],
    ["without a module", ["index.html", "404.html"], "", [hidden(...pages), []]],
    ["of one page", ["index.html"], "", [{ ...hidden(...pages), spa: true }, []]],
    ["of the advanced mode", ["_worker.js"], "", [hidden(...pages), [/^todo: .*as main, /]]],
    ["of a folder", ["_worker.js/index.js"], "", [hidden(...pages), [/^todo: .*as main, /]]],
    [
      "whose module is main",
      ["_worker.js/index.js"],
      'main = "dist/_worker.js/index.js"\n',
      [
        {
          ...hidden("/_worker.js/index.js/**", ...pages),
          bindings: { ASSETS: { assets: true } },
        },
        [/^changed: the rule answers/],
      ],
    ],
  ];
  type Expected = readonly [config: object, remarks: RegExp[]];
  for (const [name, built, lines, [config, patterns]] of modes) {
    it(`reads a project of Pages ${name}`, async (t) => {
      const dir = folder(t, {
        ...Object.fromEntries(built.map((each) => [`dist/${each}`, MODULE])),
        "wrangler.toml": `${lines}pages_build_output_dir = "dist"`,
      });
      const found = await read(dir, "wrangler.toml");
      assert.deepEqual(found.config, config);
      const shown = found.remarks.map(({ kind, reason }) => `${kind}: ${reason}`);
      assert.equal(shown.length, patterns.length, shown.join("\n"));
      for (const [index, pattern] of patterns.entries()) assert.match(shown[index] ?? "", pattern);
      const isFirst = "handlers/_first.js" in found.handlers;
      assert.equal(isFirst, lines !== "", "the module comes before files, as in Pages");
    });
  }

  const routed: readonly [routes: object, files: string[]][] = [
    [{ include: ["/*"], exclude: [] }, ["_middleware.js", "_first.js", "_module.js"]],
    [{ include: ["/*"], exclude: ["/a/*"] }, ["_middleware.js", "_first.js", "_module.js"]],
    [
      { include: ["/api/*", "/b"] },
      ["_middleware.js", "api/_middleware.js", "b/_middleware.js", "_first.js", "_module.js"],
    ],
  ];
  for (const [routes, names] of routed) {
    it(`carries over _routes.json: ${JSON.stringify(routes)}`, async (t) => {
      const found = await pagesOf(t, JSON.stringify({ version: 1, ...routes }));
      const paths = names.map((name) => `handlers/${name}`);
      assert.deepEqual(Object.keys(found.handlers), ["handlers/[...path].js", ...paths]);
      assert.deepEqual(found.config["bindings"], { ASSETS: { assets: true } });
      const remark = found.remarks.find(({ place }) => place === "dist/_routes.json:1");
      const isAll = JSON.stringify(routes).includes("[]");
      assert.equal(remark?.kind, isAll ? undefined : "changed");
    });
  }

  const refused: readonly [routes: string, message: RegExp][] = [
    ["{", /^Cannot read dist\/_routes\.json:1: found no JSON/],
    ["[]", /^Cannot read dist\/_routes\.json:1: found no table/],
    [
      '{ "version": 2, "include": ["/*"] }',
      /_routes\.json:1: found 2 for version, expected a whole/,
    ],
    ['{ "version": 1 }', /_routes\.json:1: found a table without it, expected the key include/],
    ['{ "version": 1, "include": [] }', /found an empty list for include, expected a list with/],
    [
      '{ "version": 1,\n"include": ["api"] }',
      /json:2: found "api" for include\[0\], expected a path/,
    ],
    ['{ "version": 1, "include": ["/*"], "exclude": "/a" }', /found a text for exclude, expected/],
  ];
  for (const [routes, message] of refused) {
    it(`refuses _routes.json: ${routes}`, async (t) => {
      await assert.rejects(pagesOf(t, routes), { code: "ERR_CONFIG", message });
    });
  }

  it("leaves paths to the files that _routes.json does not include", async (t) => {
    const routes = {
      version: 1,
      include: ["/api/*", "/b", "/c*"],
      exclude: ["/api/docs/", "/c/d*"],
    };
    const { handlers } = await pagesOf(t, JSON.stringify(routes));
    const first = load(handlers["handlers/_first.js"] ?? "", "runFirst, isFirst, isNever", {
      run: nameOf,
    }) as Record<string, unknown>;
    const text = (handlers["handlers/_middleware.js"] ?? "").replace("export default", "");
    const name = "middleware";
    const { middleware } = load(text.replace("function (", `function ${name}(`), name, first) as {
      middleware: (request: Request, context: object, next: () => string) => string;
    };
    const { runFirst } = first as { runFirst: typeof middleware };
    const env = { ASSETS: { fetch: () => "file" } };
    const cases: readonly [path: string, answer: "module" | "file"][] = [
      ["/api", "module"],
      ["/api/", "module"],
      ["/api/x/y", "module"],
      ["/%61pi//x", "module"],
      ["/api/docs", "file"],
      ["/api/docs/", "file"],
      ["/api/docs/x", "module"],
      ["/apix", "file"],
      ["/b", "module"],
      ["/b/", "module"],
      ["/b/x", "file"],
      ["/c", "module"],
      ["/cx/y", "module"],
      ["/c/", "module"],
      ["/c/d", "file"],
      ["/c/%64/e", "file"],
      ["/", "file"],
      ["/x", "file"],
    ];
    for (const [path, expected] of cases) {
      const request = new Request(`http://a${path}`);
      const wanted = expected === "module" ? "module fetch" : "file";
      assert.equal(
        middleware(request, { env }, () => "module fetch"),
        wanted,
        path,
      );
      // A file of the path: the module comes first, or the file is sent.
      assert.equal(
        runFirst(request, { env }, () => "file"),
        wanted,
        path,
      );
    }
  });

  it("hides a module of Pages that the folder of assets has", async (t) => {
    const built = { "dist/_worker.js": MODULE };
    const { config } = await convert(t, 'assets = { directory = "dist" }', { files: built });
    const rule = { path: ["/_worker.js/**"], respond: { status: 404 } };
    assert.deepEqual(config["rules"], [rule]);
  });

  it("hides a module within the folder", async (t) => {
    const dir = folder(t, {
      "dist/_worker.js": MODULE,
      "wrangler.toml": 'main = "dist/_worker.js"\nassets = { directory = "dist" }',
    });
    const { config } = await read(dir, "wrangler.toml");
    assert.deepEqual(config["rules"], [{ path: ["/_worker.js/**"], respond: { status: 404 } }]);
  });

  it("serves no folder that the project does not name", async (t) => {
    const { config } = await convert(t, "", { files: { "public/a.txt": "" } });
    assert.deepEqual(config, { public: false });
  });

  it("needs no module", async (t) => {
    const dir = folder(t, {
      ...files,
      "wrangler.jsonc":
        '{ "assets": { "directory": "dist", "not_found_handling": "single-page-application" } }',
    });
    const { config, handlers } = await read(dir, "wrangler.jsonc");
    const expected = [{ ...dist, spa: true }, { "handlers/.gitkeep": "" }];
    assert.deepEqual([config, handlers], expected);
  });

  it("writes no middleware where files come first", async (t) => {
    const { handlers } = await convert(t, 'assets = { directory = "dist" }', { files });
    assert.deepEqual(Object.keys(handlers), ["handlers/[...path].js"]);
  });

  const spa =
    '[assets]\ndirectory = "dist"\nnot_found_handling = "single-page-application"\nrun_worker_first =';
  const old = 'compatibility_date = "2025-03-31"\n';
  const firsts: readonly [lines: string, paths: string[]][] = [
    [`${old}${spa} true`, ["_middleware.js", "_first.js", "_module.js"]],
    [`${old}${spa} false`, []],
    [`${old}${spa} ["/api/*"]`, ["api/_middleware.js", "_first.js", "_module.js"]],
    [
      `${old}${spa} ["/a/b/*", "/a/b/c"]`,
      ["a/b/_middleware.js", "a/b/c/_middleware.js", "_first.js", "_module.js"],
    ],
    [`${old}${spa} ["/_x/*", "/a*"]`, ["_middleware.js", "_first.js", "_module.js"]],
    [`${old}${spa} ["!/api/*"]`, ["_middleware.js", "_first.js", "_module.js"]],
    [`compatibility_date = "2025-04-01"\n${spa} false`, ["_middleware.js"]],
    [
      `compatibility_date = "2025-04-01"\n${spa} ["/api/*"]`,
      ["_middleware.js", "api/_middleware.js", "_first.js", "_module.js"],
    ],
    [
      `compatibility_date = "2025-04-01"\ncompatibility_flags = ["assets_navigation_has_no_effect"]\n${spa} false`,
      [],
    ],
  ];
  for (const [lines, paths] of firsts) {
    it(`writes the middleware of ${lines.replaceAll("\n", " | ")}`, async (t) => {
      const { handlers } = await convert(t, lines, { files });
      const own = paths.map((path) => `handlers/${path}`);
      assert.deepEqual(Object.keys(handlers), ["handlers/[...path].js", ...own]);
    });
  }
});

/** Takes the place of the module of the project. */
function nameOf(name: string): string {
  return `module ${name}`;
}

/** Evaluates a module whose imports are given. */
function load(text: string, names: string, imports: Record<string, unknown>): unknown {
  const body = text.replaceAll(/^import .*$/gm, "").replaceAll(/^export /gm, "");
  // oxlint-disable-next-line no-implied-eval -- The test is about texts that become code.
  const run = new Function(...Object.keys(imports), `${body}; return { ${names} };`);
  return (run as (...values: unknown[]) => unknown)(...Object.values(imports));
}

describe("the modules of an import", () => {
  it("tell for each spelling of a path whether the module is first", async (t) => {
    const lines = `[assets]
directory = "dist"
run_worker_first = ["/api/*", "/a.b", "/x*/end", "!/api/docs/*", "/my%20files/*", "/100%/%61/*",
  "/caf\u00e9/*", "/line\\nend/*", "//twice//*", "/%2A/*"]`;
    const { handlers } = await convert(t, lines, { files: { "dist/a": "" } });
    const text = handlers["handlers/_first.js"] ?? "";
    const { runFirst } = load(text, "runFirst", { run: nameOf }) as {
      runFirst: (request: Request, context: object, next: () => string) => string;
    };
    const ask = (path: string, headers = {}): string =>
      runFirst(new Request(`http://a${path}`, { headers }), { env: {} }, () => "next");
    const first = [
      "/api/",
      "/api/x",
      "/api/x/y?q=/",
      "/%61pi/x",
      "//api//x",
      "/api%2Fx",
      "/%61pi/%",
      "/%61pi/%ff",
      "/api\\x",
      "/y/../api/x",
      "/a.b",
      "/x1/2/end",
      "/api/%0a",
      "/my%20files/a.txt",
      "/my files/a.txt",
      "/100%/a/x",
      "/100%25/a/x",
      "/caf%C3%A9/x",
      "/line%0Aend/x",
      "/twice/x",
      "/*/x",
    ];
    // A field of the client changes nothing.
    const fields = [{}, { upgrade: "x" }, { upgrade: "websocket", connection: "upgrade" }];
    for (const path of first) {
      for (const headers of [...fields, { "sec-fetch-mode": "navigate" }]) {
        assert.equal(ask(path, headers), "module fetch", `${path} ${JSON.stringify(headers)}`);
      }
    }
    const others = ["/", "/api", "/apix/", "/b/api/x", "/aXb", "/a.b/", "/x/ends", "/api/docs/a"];
    for (const path of [...others, "/api/d%6Fcs/a", "/b/x"]) assert.equal(ask(path), "next", path);
  });

  it("run a function of an object and of a class", async (t) => {
    const lines = '[[queues.consumers]]\nqueue = "a"\n[[queues.consumers]]\nqueue = "b"';
    const { handlers } = await convert(t, lines);
    const text = handlers["handlers/_module.js"] ?? "";
    interface Module {
      run: (name: string, argument: string, env: string, context: string) => unknown;
    }
    const worker = {
      own: "object",
      queue(batch: string, env: string, context: string) {
        return [this.own, batch, env, context];
      },
    };
    const object = load(text, "run", { worker }) as Module;
    assert.deepEqual(object.run("queue", "batch", "env", "ctx"), ["object", "batch", "env", "ctx"]);
    class Entry {
      readonly #parts: string[];
      constructor(context: string, env: string) {
        this.#parts = [context, env];
      }
      queue(batch: string): string[] {
        return [...this.#parts, batch];
      }
    }
    const instance = load(text, "run", { worker: Entry }) as Module;
    assert.deepEqual(instance.run("queue", "batch", "env", "ctx"), ["ctx", "env", "batch"]);
  });
});

describe("triggers of wrangler.toml", () => {
  it("become the config of the handler", async (t) => {
    const lines = `
[triggers]
crons = ["*/5 * * * *", "0 17 * * 1-5", "0 0 31 2 *", "*/5 * * * *"]
[[queues.consumers]]
queue = "jobs"
max_batch_size = 5
max_batch_timeout = 30
max_retries = 2
max_concurrency = 1
retry_delay = 60
dead_letter_queue = "dead"
[[queues.consumers]]
queue = "dead"
[[queues.consumers]]
queue = "pulled"
type = "http_pull"
[[queues.producers]]
binding = "JOBS"
queue = "jobs"
delivery_delay = 10
`;
    const { config, handlers, remarks } = await convert(t, lines);
    assert.deepEqual(config, { bindings: { JOBS: { queue: "jobs" } } });
    assert.match(
      handlers["handlers/[...path].js"] ?? "",
      /export \{ default \} from "\.\.\/src\/index\.ts";\n\nexport const config = \{\n {2}schedule: \["\*\/5 \* \* \* \*", "0 17 \* \* SUN-THU"\],\n {2}queue: \{/,
    );
    const [, text = ""] = /queue: (\{[^}]*\})/.exec(handlers["handlers/[...path].js"] ?? "") ?? [];
    // oxlint-disable-next-line no-implied-eval -- The test is about a text that becomes code.
    const queue = (new Function(`return ${text}`) as () => unknown)();
    assert.deepEqual(queue, {
      name: "jobs",
      batchSize: 5,
      batchTimeout: "30s",
      retries: 2,
      concurrency: 1,
      backoff: "60s",
      deadLetter: "dead",
    });
    assert.match(handlers["handlers/queue-2.js"] ?? "", /name: "dead"/);
    assert.deepEqual(
      remarks.map(({ kind, line }) => `${kind} ${line}`),
      [
        'changed triggers.crons[1] "0 17 * * 1-5"',
        'lost triggers.crons[2] "0 0 31 2 *"',
        "lost queues.producers[0].delivery_delay",
        "changed queues.consumers[0].retry_delay",
        "lost queues.consumers[2] pulled",
      ],
    );
  });

  const crons: readonly [written: string, expected: string][] = [
    ["*/5 * * * *", "*/5 * * * *"],
    ["0 17 * * 1", "0 17 * * SUN"],
    ["0 17 * * 2-6", "0 17 * * MON-FRI"],
    ["0 17 * * 1,7", "0 17 * * SUN,SAT"],
    ["0 17 * * */2", "0 17 * * */2"],
    ["0 17 * * 2#1", "0 17 * * MON#1"],
    ["0 17 * * 6L", "0 17 * * FRI#L"],
    ["0 17 * * friL", "0 17 * * fri#L"],
    ["0 17 1 1 sun", "0 17 1 1 sun"],
  ];
  for (const [written, expected] of crons) {
    it(`${written} is ${expected}`, () => assert.equal(toCron(written), expected));
  }
});

describe("environments of wrangler.toml", () => {
  const lines = `
name = "shop"
route = "shop.example/*"
logpush = true
[vars]
TITLE = "top"
[dev]
port = 3000
[triggers]
crons = ["0 4 * * *"]
[env.staging]
routes = ["staging.example/*"]
logpush = false
[env.staging.vars]
TITLE = "staging"
[env.bare]
dev = { port = 1 }
`;

  it("are left out without --env", async (t) => {
    const { config, remarks } = await convert(t, lines);
    assert.deepEqual(config["bindings"], { TITLE: "top" });
    assert.ok(
      remarks.some(({ kind, reason }) => kind === "unused" && /--env staging/.test(reason)),
    );
  });

  it("inherit all keys but bindings", async (t) => {
    const { config, handlers } = await convert(t, lines, { environment: "staging" });
    assert.deepEqual(config, {
      http: 3000,
      sites: { default: { aliases: ["staging.example"] } },
      bindings: { TITLE: "staging" },
    });
    assert.match(handlers["handlers/[...path].js"] ?? "", /schedule: "0 4 \* \* \*"/);
    const { remarks, ...bare } = await convert(t, lines, { environment: "bare" });
    assert.deepEqual(bare.config, {
      http: 3000,
      sites: { default: { aliases: ["shop.example"] } },
    });
    const shown = remarks.map(({ kind, line, reason }) => `${kind} ${line}: ${reason}`);
    assert.ok(shown.includes("unused vars: the environment bare does not inherit it"));
    assert.ok(shown.includes("lost env.bare.dev: only the top of the file has dev"));
  });

  const services =
    'services = [{ binding = "SELF", service = "shop-live" }, { binding = "TOP", service = "shop" }]';
  const names: readonly [name: string, own: string, self: string[]][] = [
    ["are NAME-ENVIRONMENT without a name of their own", "", ["SELF"]],
    ["have a name of their own", 'name = "shop"\n', ["TOP"]],
  ];
  for (const [name, own, self] of names) {
    it(name, async (t) => {
      const text = `name = "shop"\n[env.live]\n${own}${services}`;
      const { config } = await convert(t, text, { environment: "live" });
      const bindings = Object.fromEntries(self.map((each) => [each, { service: "default" }]));
      assert.deepEqual(config["bindings"], bindings);
    });
  }

  it("that the file does not have are refused with the nearest name", async (t) => {
    await assert.rejects(convert(t, lines, { environment: "stagin" }), {
      code: "ERR_CONFIG",
      message:
        'Cannot import wrangler.toml: found no environment "stagin", expected one of staging, bare: did you mean staging?',
    });
    await assert.rejects(convert(t, "", { environment: "x" }), /expected no --env/);
  });
});

describe("secrets of a project for Workers", () => {
  const vars = 'API_KEY="geheim # 1"\nTITLE=dev\nMY-KEY=x\n';

  it("become files that only their user reads, and never leave them", async (t) => {
    const dir = folder(t, {
      ".dev.vars": vars,
      "wrangler.toml":
        'main = "src/index.ts"\nvars = { TITLE = "Shop" }\nsecrets = { required = ["API_KEY", "OTHER"] }',
    });
    const { text } = await runImport({
      words: ["wrangler.toml"],
      environment: null,
      json: true,
      cwd: dir,
      env: process.env,
    });
    assert.equal(text.includes("geheim"), false);
    const options = { words: ["wrangler.toml"], environment: null, json: false, cwd: dir };
    const outcome = await runImport({ ...options, env: process.env });
    assert.equal(outcome.text.includes("geheim"), false);
    assert.match(outcome.text, /created secrets\/API_KEY\n/);
    assert.match(outcome.text, /lost {4}\.dev\.vars MY-KEY\n/);
    assert.match(
      outcome.text,
      /to do {3}wrangler\.toml:3 secrets\.required\[1\] OTHER\n.*secrets\/OTHER/,
    );
    const config = readFileSync(join(dir, "edgicorn.config.ts"), "utf8");
    assert.equal(config.includes("geheim"), false);
    assert.match(config, /TITLE: "Shop"/);
    assert.match(config, /API_KEY: \{ secret: "secrets\/API_KEY" \}/);
    assert.match(config, /OTHER: \{ secret: "secrets\/OTHER" \}/);
    assert.equal(readFileSync(join(dir, "secrets/API_KEY"), "utf8"), "geheim # 1\n");
    assert.equal(statSync(join(dir, "secrets/API_KEY")).mode & 0o077, 0);
    assert.equal(readFileSync(join(dir, "secrets/.gitignore"), "utf8"), "*\n");
  });

  it("keep their files, and are those of the environment", async (t) => {
    const dir = folder(t, {
      ".dev.vars": "A=1\n",
      ".dev.vars.live": "B=2\n",
      "secrets/B": "mine\n",
      "wrangler.toml": 'main = "src/index.ts"\n[env.live]\n',
    });
    const options = { words: ["wrangler.toml"], environment: "live", json: false, cwd: dir };
    const outcome = await runImport({ ...options, env: process.env });
    assert.equal(outcome.exitCode, 0, outcome.text);
    assert.equal(readFileSync(join(dir, "secrets/B"), "utf8"), "mine\n");
    assert.equal(existsSync(join(dir, "secrets/A")), false);
  });
});

describe("the .gitignore of secrets", () => {
  const cases: readonly [
    name: string,
    files: Record<string, string>,
    expected: string,
    remark: string | null,
  ][] = [
    ["is new in a new folder", {}, "*\n", null],
    ["names the new files in a folder with others", { "secrets/C": "1" }, "/A\n/B\n/D\n", null],
    ["covers all", { "secrets/.gitignore": "*\n!.gitignore\n" }, "*\n!.gitignore\n", null],
    ["covers each", { "secrets/.gitignore": "A\n/B\nD\r\n" }, "A\n/B\nD\r\n", null],
    ["covers some", { "secrets/.gitignore": "A\n# B\n" }, "A\n# B\n", "B, D"],
    ["has exceptions", { "secrets/.gitignore": "*\n!B\n" }, "*\n!B\n", "A, B, D"],
  ];
  for (const [name, files, expected, remark] of cases) {
    it(name, async (t) => {
      const dir = folder(t, {
        ...files,
        ".dev.vars": "A=1\nB=2\n",
        "wrangler.toml": 'main = "src/index.ts"\nsecrets = { required = ["A", "D"] }',
      });
      const { remarks } = await read(dir, "wrangler.toml");
      const found = remarks.find(({ place }) => place === "secrets/.gitignore");
      assert.equal(found?.line ?? null, remark);
      if (found !== undefined) assert.equal(found.kind, "todo");
      const options = { words: ["wrangler.toml"], environment: null, json: false, cwd: dir };
      await runImport({ ...options, env: process.env });
      assert.equal(readFileSync(join(dir, "secrets/.gitignore"), "utf8"), expected);
    });
  }
});

describe("mistakes in wrangler.toml", () => {
  const mistakes: readonly [lines: string, message: RegExp][] = [
    ['vars = { A = "1"', /^Cannot read wrangler\.toml:2: found no TOML, expected a file that/],
    ['main = "again"', /^Cannot read wrangler\.toml:2: found no TOML, .*multiple times/],
    ["kv_namespaces = 3", /wrangler\.toml:2: found a number for kv_namespaces, expected a list$/],
    ['kv_namespaces = ["A"]', /found a text for kv_namespaces\[0\], expected a table/],
    [
      '[[kv_namespaces]]\nid = "1"',
      /wrangler\.toml:2: found a table without it for kv_namespaces\[0\], expected the key binding/,
    ],
    ['vars = "secret"', /found a text for vars, expected a table of keys and values$/],
    ['[triggers]\ncrons = "* * * * *"', /:3: found a text for triggers\.crons, expected a list/],
    [
      '[[queues.consumers]]\nqueue = "a b"',
      /for queues\.consumers\[0\]\.queue, expected a name of/,
    ],
    [
      '[[queues.consumers]]\nqueue = "a"\nmax_batch_size = 500',
      /found 500 for .*, expected a whole number from 1 to 100/,
    ],
    ['[[queues.consumers]]\nqueue = "a"\ndead_letter_queue = "a"', /expected another queue/],
    [
      '[[queues.consumers]]\nqueue = "a"\n[[queues.consumers]]\nqueue = "a"',
      /expected a queue that no other consumer has/,
    ],
    [
      'assets = { directory = "d", html_handling = "x" }',
      /found "x" for assets\.html_handling, expected "auto-trailing-slash", /,
    ],
    [
      'assets = { directory = "d", run_worker_first = ["api"] }',
      /expected a path such as "\/api\/\*"/,
    ],
    ["[dev]\nport = 99999", /found 99999 for dev\.port/],
    ['[[ratelimits]]\nname = "L"', /expected the key simple/],
    ['rules = [{ type = "Txt", globs = [] }]', /found "Txt" for rules\[0\]\.type/],
    ['compatibility_flags = "nodejs_compat"', /expected a list/],
    ["env = 3", /found a number for env, expected a table/],
  ];
  for (const [lines, message] of mistakes) {
    it(lines.replaceAll("\n", " | "), async (t) => {
      const dir = folder(t, { "wrangler.toml": `main = "src/index.ts"\n${lines}` });
      const options = { words: ["wrangler.toml"], environment: null, json: false, cwd: dir };
      await assert.rejects(runImport({ ...options, env: process.env }), {
        code: "ERR_CONFIG",
        message,
      });
      assert.equal(existsSync(join(dir, "edgicorn.config.ts")), false);
      assert.equal(existsSync(join(dir, "handlers")), false);
    });
  }

  const modules: readonly [text: string, message: RegExp][] = [
    ["", /wrangler\.toml:1: found no key main, expected main, such as/],
    [
      'main = "src/none.ts"',
      /wrangler\.toml:1: found "src\/none\.ts" for main, expected a file that is there/,
    ],
    ['main = "src/entry.py"', /for Python see docs\/python\.md/],
    ['main = "src"', /expected a file that ends with \.ts, /],
  ];
  for (const [text, message] of modules) {
    it(`in main: ${text}`, async (t) => {
      const dir = folder(t, { "wrangler.toml": text });
      await assert.rejects(read(dir, "wrangler.toml"), { code: "ERR_CONFIG", message });
    });
  }

  it("in other words and files", async (t) => {
    const dir = folder(t, {
      "wrangler.toml": 'main = "src/index.ts"',
      "nginx.conf": "",
      "bad.jsonc": '{\n "main": "src/index.ts",\n "vars": {\n}',
      "empty.json": "",
      "list.json": "[]",
    });
    const run = (words: string[], environment: string | null = null): Promise<unknown> =>
      runImport({ words, environment, json: false, cwd: dir, env: process.env });
    await assert.rejects(run(["wrangler.toml", "nginx.conf"]), /found wrangler\.toml beside it/);
    await assert.rejects(run(["wrangler.toml", "bad.jsonc"]), /found wrangler\.toml before it/);
    await assert.rejects(run(["nginx.conf"], "live"), /Cannot use --env: found no wrangler\.toml/);
    await assert.rejects(run(["none.toml"]), /Cannot read none\.toml: ENOENT/);
    await assert.rejects(run(["bad.jsonc"]), /bad\.jsonc:4: found no JSON, .*CloseBraceExpected/);
    await assert.rejects(run(["empty.json"]), /empty\.json:1: found no JSON/);
    await assert.rejects(run(["list.json"]), /Cannot read list\.json:1: found no table, expected/);
  });

  it("leave no half of the files", async (t) => {
    const dir = folder(t, {
      ".dev.vars": "A=1\n",
      "wrangler.toml": 'main = "src/index.ts"',
      secrets: "a file of this name",
    });
    const options = { words: ["wrangler.toml"], environment: null, json: false, cwd: dir };
    await assert.rejects(
      runImport({ ...options, env: process.env }),
      /Cannot write secrets: found a file of this name, expected none/,
    );
    assert.deepEqual(readdirSync(dir).toSorted(), [".dev.vars", "secrets", "src", "wrangler.toml"]);
  });
});

describe("a folder with handlers", () => {
  it("keeps them: those of the import are in another one", async (t) => {
    const dir = folder(t, { "handlers/a.ts": "", "wrangler.toml": 'main = "src/index.ts"' });
    const { config, handlers } = await read(dir, "wrangler.toml");
    assert.deepEqual(config, { handlers: "edgicorn-handlers" });
    assert.deepEqual(Object.keys(handlers), ["edgicorn-handlers/[...path].js"]);
  });

  it("finds the module of a file in another folder", async (t) => {
    const dir = folder(t, {
      "api/wrangler.json": '{ "main": "./main.js", "assets": { "directory": "./files" } }',
      "api/main.js": MODULE,
      "api/files/a.txt": "",
    });
    const { config, handlers } = await read(dir, "api/wrangler.json");
    assert.equal(config["public"], "api/files");
    assert.match(handlers["handlers/[...path].js"] ?? "", /from "\.\.\/api\/main\.js"/);
  });

  it("tells a module in the old form", async (t) => {
    const files = { "src/index.ts": 'addEventListener("fetch", (event) => {});' };
    const { remarks } = await convert(t, "", { files });
    assert.match(remarks[0]?.reason ?? "", /export default \{ fetch \}/);
  });
});

describe("readToml() and readJsonc()", () => {
  it("tell the line and the path of each value", async () => {
    const toml = await readToml(
      '# no\na.b = [\n  1,\n  { c = "x" }, # y\n]\n[[d]]\nx = 1\n[[d]]\n[d.e]\n"f g" = 2025-01-02\n',
      "w.toml",
    );
    assert.deepEqual(listItems(toml), [
      "a 2",
      "a.b 2",
      "a.b[0] 3",
      "a.b[1] 4",
      "a.b[1].c 4",
      "d 6",
      "d[0] 6",
      "d[0].x 7",
      "d[1] 8",
      "d[1].e 9",
      "d[1].e.f g 10",
    ]);
    const json = await readJsonc('{ // no\n"a": { "b": [\n1,\n{ "c": null }, ] },\n}', "w.jsonc");
    assert.deepEqual(listItems(json), ["a 2", "a.b 2", "a.b[0] 3", "a.b[1] 4", "a.b[1].c 4"]);
  });

  it("read every value of JSON as JSON.parse does", async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue({ depthSize: "small" }), async (value) => {
        const text = JSON.stringify(value);
        const item = await readJsonc(text, "w.json");
        assert.deepEqual(JSON.parse(JSON.stringify(item)), JSON.parse(text));
      }),
    );
  });
});

function listItems(item: Awaited<ReturnType<typeof readToml>>): string[] {
  const { content } = item;
  const inner =
    content instanceof Map || Array.isArray(content)
      ? [...(content as ReadonlyMap<string, typeof item>).values()]
      : [];
  return inner.flatMap((each) => [`${each.path} ${each.line}`, ...listItems(each)]);
}
