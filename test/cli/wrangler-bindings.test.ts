import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { checkWranglerFile } from "../../runtime/cli/check-wrangler.ts";
import { readWrangler } from "../../runtime/cli/import/wrangler/read-wrangler.ts";
import { describeLostBindings, findBindings } from "../../runtime/cli/wrangler-bindings.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const TOML = `name = "shop" # binding = "NOT_THIS"
main = "src/index.ts"
ai = { binding = "AI" }
vars = { TITLE = "a = b, { c = 1 }", COLOUR = "red" }

kv_namespaces = [
  { binding = "CARTS", id = "1" },
  { id = "2", binding = 'USERS' },
]

[[d1_databases]]
binding = "DB"
database_name = "shop"

[durable_objects]
bindings = [{ name = "ROOMS", class_name = "Room" }, { name = "LOCKS", class_name = "Lock" }]

[triggers]
crons = ["0 4 * * *"]

[[ratelimits]]
name = "LIMITER"

[env.staging.vars]
STAGE = "1"

[[env.staging.r2_buckets]]
binding = "STAGING"

[[r2_buckets]]
  # binding = "OLD"
  binding = "FILES"

[[queues.producers]]
queue = "jobs"
binding = "JOBS"

[[queues.consumers]]
queue = "jobs"

[assets]
directory = "./public"
binding = "ASSETS"

[[send_email]]
name = "MAIL"

[[services]]
binding = "OTHER"
service = "other"

[version_metadata]
binding = "VERSION"

[[secrets_store_secrets]]
binding = "KEY"
store_id = "1"
secret_name = "key"
`;

const JSONC = `{
  // "ai": { "binding": "NOT_THIS" },
  "name": "shop",
  "vars": { "TITLE": "x", "DEEP": { "binding": "y" } },
  "kv_namespaces": [
    { "binding": "CARTS", "id": "1" },
    { "id": "2", "binding": "USERS" },
  ],
  "durable_objects": {
    "bindings": [{ "name": "ROOMS", "class_name": "Room" }],
  },
  "ai": { "binding": "AI" },
  "queues": { "producers": [{ "binding": "JOBS" }] },
  "env": { "staging": { "ai": { "binding": "STAGING" } } },
  "assets": { "directory": "./public", "binding": "ASSETS" },
  "send_email": [{ "name": "MAIL", "destination_address": "a@b.example" }],
  "services": [{ "service": "other", "binding": "OTHER" }],
  "version_metadata": { "binding": "VERSION" },
  "secrets_store_secrets": [{ "binding": "KEY", "store_id": "1" }],
}`;

async function findIn(text: string, file: string): Promise<string[]> {
  const found = findBindings(await readWrangler(text, file));
  return found.map(({ kind, name, line }) => `${line} ${kind} ${name}`);
}

describe("findBindings()", () => {
  it("finds tables, arrays and inline tables of TOML, and leaves environments out", async () => {
    const found = await findIn(TOML, "wrangler.toml");
    assert.deepEqual(found.toSorted(byLine), [
      "3 ai AI",
      "4 vars TITLE",
      "4 vars COLOUR",
      "7 kv_namespaces CARTS",
      "8 kv_namespaces USERS",
      "12 d1_databases DB",
      "16 durable_objects ROOMS",
      "16 durable_objects LOCKS",
      "22 ratelimits LIMITER",
      "32 r2_buckets FILES",
      "36 queues JOBS",
      "43 assets ASSETS",
      "46 send_email MAIL",
      "49 services OTHER",
      "53 version_metadata VERSION",
      "56 secrets_store_secrets KEY",
    ]);
  });

  it("reads every form of TOML", async () => {
    const lines = [
      'kv_namespaces."0".binding = """CARTS"""',
      "ai.binding = 'A\"I'",
      '"vars" = { "A" = """',
      '[vars]""", B.C = 1 }',
      "[durable_objects]",
      'bindings = [ # { name = "NOT_THIS" }',
      '  { class_name = "Room", name = "ROOMS" } ]',
    ];
    assert.deepEqual(await findIn(lines.join("\r\n"), "wrangler.toml"), [
      "1 kv_namespaces CARTS",
      '2 ai A"I',
      "3 vars A",
      "4 vars B",
      "7 durable_objects ROOMS",
    ]);
  });

  it("finds the same in JSON with comments", async () => {
    assert.deepEqual(await findIn(JSONC, "wrangler.jsonc"), [
      "4 vars TITLE",
      "4 vars DEEP",
      "6 kv_namespaces CARTS",
      "7 kv_namespaces USERS",
      "10 durable_objects ROOMS",
      "12 ai AI",
      "13 queues JOBS",
      "15 assets ASSETS",
      "16 send_email MAIL",
      "17 services OTHER",
      "18 version_metadata VERSION",
      "19 secrets_store_secrets KEY",
    ]);
    const other = '{"vars": 1, "ai": [[{"binding": 5}]], "queues": null, "name": "x"}';
    assert.deepEqual(await findIn(other, "wrangler.json"), []);
  });
});

function byLine(one: string, other: string): number {
  return Number.parseInt(one, 10) - Number.parseInt(other, 10);
}

describe("describeLostBindings()", () => {
  it("names the place and the remedy of each that env does not have", () => {
    const lines = describeLostBindings(
      [
        { kind: "kv_namespaces", name: "CARTS", line: 7 },
        { kind: "kv_namespaces", name: "USERS", line: 8 },
        { kind: "d1_databases", name: "DB", line: 12 },
        { kind: "services", name: "AUTH", line: 15 },
        { kind: "assets", name: "ASSETS", line: 16 },
        { kind: "vars", name: "MY\nNAME", line: 17 },
      ],
      { file: "wrangler.toml", names: new Set(["USERS"]) },
    );
    assert.deepEqual(lines, [
      'wrangler.toml:7: env.CARTS (kv_namespaces) is undefined: found no binding of this name, expected bindings: { CARTS: { kv: "carts" } } in the config file',
      "wrangler.toml:12: env.DB (d1_databases) is undefined: this server has no such binding, expected the client of a database",
      'wrangler.toml:15: env.AUTH (services) is undefined: found no binding of this name, expected bindings: { AUTH: { service: "NAME-OF-ITS-SITE" } } in the config file',
      "wrangler.toml:16: env.ASSETS (assets) is undefined: found no binding of this name, expected bindings: { ASSETS: { assets: true } } in the config file",
      'wrangler.toml:17: env["MY\\nNAME"] (vars) is undefined: this server has no such name, expected letters, digits and underscores',
    ]);
  });
});

describe("checkWranglerFile()", () => {
  const config = { bindings: [], variables: { TITLE: "x" }, envVariables: null };

  it("compares with bindings and variables, and reads the first file", async (t) => {
    const cwd = temporaryFolder(t);
    assert.deepEqual(await checkWranglerFile(config, { cwd, env: {} }), []);
    writeFileSync(join(cwd, "wrangler.toml"), TOML);
    const env = { COLOUR: "red", CARTS: "1", USERS: "1", AI: "1", DB: "1", ROOMS: "1", LOCKS: "1" };
    const lines = await checkWranglerFile(config, { cwd, env });
    assert.deepEqual(
      lines.map((line) => /^(\S+): env\.(\w+)/.exec(line)?.slice(1).join(" ")),
      [
        "wrangler.toml:22 LIMITER",
        "wrangler.toml:32 FILES",
        "wrangler.toml:36 JOBS",
        "wrangler.toml:43 ASSETS",
        "wrangler.toml:46 MAIL",
        "wrangler.toml:49 OTHER",
        "wrangler.toml:53 VERSION",
        "wrangler.toml:56 KEY",
      ],
    );
    const listed = { ...config, envVariables: ["C*", "TITLE"] };
    assert.equal((await checkWranglerFile(listed, { cwd, env })).length, 13);
    writeFileSync(join(cwd, "wrangler.jsonc"), JSONC);
    const [first = ""] = await checkWranglerFile({ ...config, variables: {} }, { cwd, env: {} });
    assert.match(first, /^wrangler\.jsonc:4: env\.TITLE \(vars\)/);
  });

  const broken: readonly [file: string, text: string, message: RegExp][] = [
    [
      "wrangler.toml",
      'main = "a"\n[vars',
      /^Cannot read wrangler\.toml:2: found no TOML, expected /,
    ],
    ["wrangler.toml", "[vars]\nA = 1\nA = 2", /^Cannot read wrangler\.toml:3: .*multiple times/],
    ["wrangler.json", '{\n"vars": {\n', /^Cannot read wrangler\.json:3: found no JSON, expected /],
    ["wrangler.json", "", /^Cannot read wrangler\.json:1: .*ValueExpected/],
    ["wrangler.jsonc", "// no\n[]", /^Cannot read wrangler\.jsonc:2: found no table, expected/],
    [
      "wrangler.json",
      `{ "a": ${"[".repeat(50_000)}`,
      /^Cannot read wrangler\.json: found too many lists or tables within each other, expected fewer$/,
    ],
  ];
  for (const [file, text, message] of broken) {
    it(`warns of ${JSON.stringify(text.slice(0, 30))} in ${file}`, async (t) => {
      const cwd = temporaryFolder(t);
      writeFileSync(join(cwd, file), text);
      const [first = "", ...others] = await checkWranglerFile(config, { cwd, env: {} });
      assert.match(first, message);
      assert.deepEqual(others, []);
    });
  }

  it("warns of a folder in place of the file", async (t) => {
    const cwd = temporaryFolder(t);
    mkdirSync(join(cwd, "wrangler.toml"));
    const lines = await checkWranglerFile(config, { cwd, env: {} });
    assert.deepEqual(lines, ["Cannot read wrangler.toml: EISDIR"]);
  });

  it("takes any text", async (t) => {
    const cwd = temporaryFolder(t);
    const characters = "[]{}=\"'#.,:/*\n\r \\\0\uFEFF1-_eé".split("");
    const unit = fc.constantFrom(...characters, "vars", "binding", "ai");
    for (const file of ["wrangler.toml", "wrangler.json"]) {
      await fc.assert(
        fc.asyncProperty(fc.string({ unit, maxLength: 40 }), async (text) => {
          writeFileSync(join(cwd, file), text);
          for (const line of await checkWranglerFile(config, { cwd, env: {} })) {
            assert.match(line, /^(?:Cannot read )?wrangler\.(?:toml|json):\d+: /);
          }
        }),
        { numRuns: 100 },
      );
    }
  });
});
