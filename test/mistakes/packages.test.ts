import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { describeMistakes, type Mistake, plant } from "./plant.ts";

const HELLO = `export default () => new Response("hello");\n`;
const A = { "handlers/a.ts": HELLO };

/** A handler of two that does not load. */
function boot(name: string, code: string, says: readonly RegExp[]): Mistake {
  const files = { ...A, "handlers/b.ts": `\n${code}\n${HELLO}` };
  return { name, command: "check", files, code: 70, says };
}

/** As `boot`, of a handler that does not come to an end. */
function hang(name: string, code: string, says: readonly RegExp[]): Mistake {
  return { ...boot(name, code, says), runsInto: "--boot-timeout" };
}

describeMistakes("loading", [
  hang("a top level that waits for ever", "await new Promise(() => {});", [
    /^handlers\/b\.ts:2:1: its top-level await has not finished/m,
    /within bootTimeout \(\d+ ms\)/,
  ]),
  hang("a top level that never ends", "while (true);", [
    /^handlers\/b\.ts:2:1: blocks the event loop/m,
    /within bootTimeout \(\d+ ms\), expected the top level to end/,
  ]),
  hang("an init() that never ends", "export const init = () => { for (;;); };", [
    /^handlers\/b\.ts:2:\d+: init\(\) blocks the event loop/m,
    /within bootTimeout \(\d+ ms\), expected init\(\) to end/,
  ]),
  {
    name: "a top level that never ends, in another file",
    command: "check",
    runsInto: "--boot-timeout",
    files: {
      ...A,
      "handlers/b.ts": `import "../lib/spin.ts";\n${HELLO}`,
      "lib/spin.ts": "let n = 0;\nfor (;;) n++;\nexport {};",
    },
    code: 70,
    says: [/^lib\/spin\.ts:2:\d+: blocks the event loop/m, /\(while handlers\/b\.ts loads\)/],
  },
  boot("a handler that exits", "process.exit(3);", [
    /^handlers\/b\.ts:2:9: process\.exit\(3\), expected it to go on until its handlers are loaded/m,
  ]),
  {
    name: "a package that exits",
    command: "check",
    files: {
      ...A,
      "handlers/b.ts": `import "quits";\n${HELLO}`,
      "node_modules/quits/package.json": `{ "name": "quits", "main": "i.cjs" }`,
      "node_modules/quits/i.cjs": `if (!process.env.NOPE) process.exit(1);`,
    },
    code: 70,
    says: [
      /^node_modules\/quits\/i\.cjs:1:\d+: process\.exit\(1\), expected it to go on/m,
      /\(while handlers\/b\.ts loads\)/,
    ],
  },
  boot("a handler that aborts the process", "process.abort();", [
    /^handlers\/b\.ts: the worker exited with signal SIGABRT while it loaded this file/m,
  ]),
  {
    ...boot(
      "a handler that fills the memory",
      "const all: unknown[] = []; for (;;) all.push(new Array(1e4).fill(1));",
      [/while (?:it loads|it loaded this file|handlers\/b\.ts loads)/, /handlers\/b\.ts/],
    ),
    flags: ["--worker-memory-limit", "64mb"],
  },
  boot(
    "an error with a cause",
    `throw new Error("no database", { cause: new Error("password wrong") });`,
    [/^handlers\/b\.ts:2:7: Error: no database \(cause: Error: password wrong\)/m],
  ),
  boot(
    "an error of several",
    `throw new AggregateError([new Error("a"), new Error("b")], "none");`,
    [/^handlers\/b\.ts:2:7: AggregateError: none \(errors: Error: a; Error: b\)/m],
  ),
  boot("a server that does not answer", `await fetch("http://127.0.0.1:9/");`, [
    // The stack of Node 24 has no line of the caller.
    /^handlers\/b\.ts(?::2:\d+)?: TypeError: fetch failed \(cause: /m,
  ]),
  boot(
    "an exception of a timer",
    `setTimeout(() => { throw new Error("late"); });\nawait new Promise(() => {});`,
    [/^handlers\/b\.ts:2:26: Error: late, thrown outside of any promise/m],
  ),
]);

type Files = Readonly<Record<string, string | Uint8Array>>;

/** A mistake in one handler of many: its files, and what the program says in one line. */
type Row = readonly [name: string, code: string, says: readonly RegExp[], more?: Files];

/** Rows that are told all at once: one process for a whole table. */
function describeTogether(
  area: string,
  rows: readonly Row[],
  { links = {} }: { links?: Record<string, string> } = {},
): void {
  describe(`planted mistakes: ${area}`, { timeout: 600_000 }, () => {
    let output = "";
    const owner = { after };
    before(async () => {
      const files = rows.map(([, code, , more], row) => ({
        [`handlers/h${row}.ts`]: `\n${code}\nexport default () => new Response("hello");\n`,
        ...more,
      }));
      const outcome = await plant(owner, {
        command: "check",
        files: Object.assign({}, ...files) as Files,
        prepare: (dir) => {
          for (const [path, target] of Object.entries(links)) symlinkSync(target, join(dir, path));
        },
      });
      ({ output } = outcome);
      assert.equal(outcome.code, 70, output);
    });
    for (const [row, [name, , says]] of rows.entries()) {
      it(name, () => {
        const line = output.split("\n").find((each) => says[0]?.test(each)) ?? "";
        assert.notEqual(line, "", `no line like ${String(says[0])} for h${row}.ts:\n${output}`);
        for (const pattern of says) assert.match(line, pattern);
      });
    }
  });
}

function packageOf(name: string, fields: object, files: Record<string, string>): Files {
  const folder = `node_modules/${name}`;
  return Object.fromEntries(
    Object.entries({ "package.json": JSON.stringify({ name, ...fields }), ...files }).map(
      ([path, text]) => [`${folder}/${path}`, text],
    ),
  );
}

describeTogether(
  "imports that the build refuses",
  [
    [
      "a package that is not installed",
      `import "nope-npm";`,
      [
        /^handlers\/h0\.ts:2:8: Could not find package "nope-npm": not installed/,
        /Run "npm install nope-npm"$/,
      ],
    ],
    [
      "a package that is not installed, with Yarn",
      `import "../sites/yarn/x.ts";`,
      [/^sites\/yarn\/x\.ts:1:8: Could not find package "nope-yarn"/, /Run "yarn add nope-yarn"$/],
      { "sites/yarn/x.ts": `import "nope-yarn";`, "sites/yarn/yarn.lock": "" },
    ],
    [
      "a package that production leaves out",
      `import "../sites/pnpm/x.ts";`,
      [
        /^sites\/pnpm\/x\.ts:1:8: Could not find package "nope-pnpm"/,
        /"devDependencies", .*run "pnpm install", or move it to "dependencies"$/,
      ],
      {
        "sites/pnpm/x.ts": `import "nope-pnpm";`,
        "sites/pnpm/pnpm-lock.yaml": "",
        "sites/pnpm/package.json": `{ "type": "module", "devDependencies": { "nope-pnpm": "1" } }`,
      },
    ],
    [
      "a link of a workspace that leads nowhere",
      `import "gone";`,
      [
        /^handlers\/h3\.ts:2:8: Could not find package "gone"/,
        /node_modules\/gone is a link to \.\.\/packages\/gone, expected a folder there$/,
      ],
    ],
    [
      "a subpath that a package does not export",
      `import "sealed/nope";`,
      [
        /^handlers\/h4\.ts:2:8: Could not find "sealed\/nope"/,
        /"exports" of node_modules\/sealed\/package\.json has "sealed", "sealed\/sub"$/,
      ],
      packageOf(
        "sealed",
        { exports: { ".": "./i.js", "./sub": "./s.js" } },
        { "i.js": "", "s.js": "" },
      ),
    ],
    [
      "a package that is not built",
      `import "unbuilt";`,
      [
        /^handlers\/h5\.ts:2:8: Could not find "unbuilt"/,
        /leads to "dist\/i\.js", which is missing: is the package built\?$/,
      ],
      packageOf("unbuilt", { main: "dist/i.js" }, {}),
    ],
    [
      "a package whose package.json is damaged",
      `import "damaged";`,
      [
        /^handlers\/h6\.ts:2:8: Could not resolve "damaged"/,
        /node_modules\/damaged\/package\.json:1: Expected/,
      ],
      {
        "node_modules/damaged/package.json": `{ "name": "damaged",`,
        "node_modules/damaged/index.js": "",
      },
    ],
    [
      "a #name that package.json does not have",
      `import "#db";`,
      [/^handlers\/h7\.ts:2:8: Could not find "#db": expected it in "imports" of package\.json$/],
    ],
    [
      "an alias that leads nowhere",
      `import "@/nope";`,
      [
        /^handlers\/h8\.ts:2:8: Could not find "@\/nope": it looks like an alias/,
        /no file is where "paths" of tsconfig\.json lead$/,
      ],
      { "tsconfig.json": `{ "compilerOptions": { "paths": { "@/*": ["./src/*"] } } }` },
    ],
    [
      "a file that is not there",
      `import "../lib/datums.ts";`,
      [
        /^handlers\/h9\.ts:2:8: Could not resolve "\.\.\/lib\/datums\.ts"/,
        /there is no lib\/datums\.ts, did you mean "datum\.ts"\?$/,
      ],
      { "lib/datum.ts": "" },
    ],
    [
      "another extension",
      `import "../lib/page.tsx";`,
      [/^handlers\/h10\.ts:2:8: .*did you mean "page\.js"\?$/],
      { "lib/page.js": "" },
    ],
    [
      "letters of another case",
      `import { u } from "../lib/util.ts";\nu();`,
      [/^handlers\/h11\.ts:2:19: Could not (?:read|resolve)/, /"Util\.ts"/],
      { "lib/Util.ts": "export const u = () => 1;" },
    ],
    [
      "a file of a type that cannot be imported",
      `import all from "../lib/all.yaml";\nall();`,
      [
        /^handlers\/h12\.ts:2:17: No loader is configured for "\.yaml" files/,
        /readFileSync\(new URL\("\.\/all\.yaml", import\.meta\.url\)\)$/,
      ],
      { "lib/all.yaml": "a: 1" },
    ],
    [
      "JSON with a mistake",
      `import data from "../lib/data.json";\ndata();`,
      [/^lib\/data\.json:2:6: Expected ":" in JSON/],
      { "lib/data.json": `{ "a": 1,\n "b" }` },
    ],
    [
      "a module of Bun",
      `import { Database } from "bun:sqlite";\nnew Database();`,
      [
        /^handlers\/h14\.ts:2:26: "bun:sqlite" is a module of Bun, expected a package in node_modules/,
      ],
    ],
    [
      "a module of Deno",
      `import { hono } from "npm:hono";\nhono();`,
      [
        /^handlers\/h15\.ts:2:22: "npm:hono" is a module of Deno, expected a package in node_modules/,
      ],
    ],
    [
      "a module of the network",
      `import { hono } from "https://esm.sh/hono";\nhono();`,
      [
        /^handlers\/h16\.ts:2:22: Node imports nothing from the network/,
        /expected a package in node_modules$/,
      ],
    ],
    [
      "a module that Node does not have",
      `import { x } from "node:nope";\nx();`,
      [/^handlers\/h17\.ts:2:19: Node [\d.]+ has no module "node:nope"$/],
    ],
    ["a syntax error", `export const x = (;`, [/^handlers\/h18\.ts:2:19: Unexpected ";"$/]],
    [
      "bytes that are no text",
      `import "../lib/program.ts";`,
      [
        /^handlers\/h19\.ts:2:8: lib\/program\.ts is no text: found a byte 0, expected source code in UTF-8/,
      ],
      { "lib/program.ts": new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 0, 1]) },
    ],
  ],
  { links: { "node_modules/gone": "../packages/gone" } },
);

describeTogether("names that a file does not export", [
  [
    "a name that a file does not export",
    `import { two } from "../lib/one.ts";\ntwo();`,
    [/^handlers\/h0\.ts:2:10: No matching export in "\.\.\/lib\/one\.ts" for import "two"$/],
    { "lib/one.ts": "export const one = 1;" },
  ],
  [
    "a default that a file does not export",
    `import one from "../lib/other.ts";\none();`,
    [/^handlers\/h1\.ts:2:8: No matching export in "\.\.\/lib\/other\.ts" for import "default"$/],
    { "lib/other.ts": "export const one = 1;" },
  ],
]);

describeTogether("imports that fail when they are loaded", [
  [
    "a name that CommonJS does not export",
    `import { xy } from "common";\nxy();`,
    [
      /^handlers\/h0\.ts:2(?::\d+)?: "common" has no export "xy"/,
      /only a default one: import all from "common"; const \{ xy \} = all$/,
    ],
    packageOf("common", { main: "i.cjs" }, { "i.cjs": `module.exports = { ["x" + "y"]: 1 };` }),
  ],
  [
    "a name that a package does not export",
    `import { two } from "modern";\ntwo();`,
    [/^handlers\/h1\.ts:2(?::\d+)?: "modern" has no export "two", it has "one"$/],
    packageOf("modern", { type: "module", main: "i.js" }, { "i.js": "export const one = 1;" }),
  ],
  [
    "a default that a package does not export",
    `import one from "modern";\none();`,
    [/^handlers\/h2\.ts:2(?::\d+)?: "modern" has no export "default", it has "one"$/],
  ],
  [
    "what a package needs and is not installed",
    `import "needs";`,
    [
      /^node_modules\/needs\/i\.js:1:8: cannot find "needed": not installed, run "npm install needed"$/,
    ],
    packageOf("needs", { type: "module", main: "i.js" }, { "i.js": `import "needed";` }),
  ],
  [
    "what a package requires and is not installed",
    `import "requires";`,
    [
      /^node_modules\/requires\/i\.cjs:1:9: cannot find "required": not installed, run "npm install required"$/,
    ],
    packageOf("requires", { main: "i.cjs" }, { "i.cjs": `require("required");` }),
  ],
  [
    "TypeScript behind the JavaScript of a package",
    `import "half";`,
    [
      /^handlers\/h5\.ts: .*(?:Unknown file extension|Stripping types).*half\/t\.ts/,
      /use a build of the package$/,
    ],
    packageOf(
      "half",
      { type: "module", main: "i.js" },
      { "i.js": `import "./t.ts";`, "t.ts": "let a: 1;" },
    ),
  ],
  [
    "machine code for another system",
    `import "native";`,
    [/^(?:handlers\/h6\.ts|node_modules\/native).*native\/x\.node/, /run "npm rebuild"$/],
    packageOf("native", { main: "i.cjs" }, { "i.cjs": `require("./x.node");`, "x.node": "none" }),
  ],
  [
    "a variable of Vite",
    `export const key = import.meta.env.VITE_KEY;`,
    [/^handlers\/h7\.ts:2:\d+: TypeError: .*VITE_KEY/, /use process\.env$/],
  ],
  [
    "a file that is read and missing",
    `import { readFileSync } from "node:fs";\nreadFileSync(__dirname + "/nope.txt");`,
    [/^handlers\/h8\.ts:3:\d+: Error: ENOENT: .*handlers\/nope\.txt/],
  ],
  [
    "a named file of CommonJS with export",
    `import "../lib/mixed.cjs";`,
    [
      /^(?:handlers\/h9\.ts|lib\/mixed\.cjs).*(?:module is not defined in ES module scope|Cannot determine intended module format)/,
      /use "export"$/,
    ],
    { "lib/mixed.cjs": "const x = await 1;\nmodule.exports = x;" },
  ],
]);

describeMistakes("settings of the compiler", [
  {
    name: "decorators whose types are wanted",
    command: "check",
    files: {
      ...A,
      "tsconfig.json": `{ "compilerOptions": {\n"emitDecoratorMetadata": true } }`,
      "handlers/t.ts": `import { Worker } from "node:worker_threads";\nexport default () => { new Worker("./w.ts"); return new Response(); };`,
    },
    code: 0,
    says: [
      /tsconfig\.json:2: emitDecoratorMetadata has no effect.*@Inject\(Service\)/,
      /handlers\/t\.ts:2:\d+: A thread cannot load "\.\/w\.ts" by its path.*new Worker\(new URL\("\.\/w\.ts", import\.meta\.url\)\)/,
    ],
  },
]);
