import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ConfigReading, readConfig } from "../../runtime/generation/read-config.ts";

const HANDLER = "\nexport default () => new Response();\n";

describe("readConfig()", () => {
  const named: Record<string, [text: string, pool: string | null]> = {
    "a literal": ['export const config = { pool: "reports" };', "reports"],
    "other quotes": ["export const config = { timeoutMs: 5, 'pool': 'a-1' };", "a-1"],
    "a template without holes": ["export const config = { pool: `reports` };", "reports"],
    "a type at its side": [
      'import type { HandlerConfig } from "edgicorn";\nexport const config: HandlerConfig = { pool: "a" };',
      "a",
    ],
    satisfies: ['export const config = { pool: "a" } satisfies { pool: string };', "a"],
    "as const": ['export const config = { pool: "a" } as const;', "a"],
    "an export of its own": ['const config = { pool: "a" };\nexport { config };', "a"],
    "another name inside": ['const mine = { pool: "a" };\nexport { mine as config };', "a"],
    "the last of two": ['export const config = { pool: "a", pool: "b" };', "b"],
    "JSX and a decorator beside it": [
      'export const config = { pool: "a" };\nfunction d(..._: unknown[]): void {}\nclass A { @d x = 1; }\nexport const b = <p>{A.name}</p>;',
      "a",
    ],
    "a pool of connections": [
      'import { Pool } from "pg";\nconst pool = new Pool();\nexport const config = { timeoutMs: 1 };',
      null,
    ],
    "a config of another name": ['const config = { pool: "a" };\nexport const x = config;', null],
    "a config from elsewhere": ['export { config } from "./pool.ts";', null],
    "a config that is made": ['export const config = make({ pool: "a" });', null],
    CommonJS: ['exports.config = { pool: "a" };', null],
    "no config": ["export const pool = 1;", null],
    "what does not compile": ["export const config = { pool: ;", null],
  };
  for (const [name, [text, pool]] of Object.entries(named)) {
    it(`reads ${name}`, async () => {
      assert.deepEqual(await readConfig(text + HANDLER, "x.tsx"), { ok: true, pool, files: false });
    });
  }

  const guards: Record<string, [text: string, files: boolean]> = {
    true: ["export const config = { files: true };", true],
    false: ["export const config = { files: false };", false],
    "true beside a pool": ['export const config = { pool: "a", files: true };', true],
    "a type at its side": ["export const config: FolderConfig = { files: true };", true],
    "no config": ["export const files = true;", false],
  };
  for (const [name, [text, files]] of Object.entries(guards)) {
    it(`reads files: ${name}`, async () => {
      const reading = await readConfig(text + HANDLER, "_middleware.ts");
      assert.equal(reading.ok && reading.files, files);
    });
  }

  const refused: Record<
    string,
    [text: string, expected: Omit<ConfigReading & { ok: false }, "ok">]
  > = {
    "a name that only running tells": [
      "interface A {\n  a: string;\n}\n\nexport const config = {\n  pool: process.env.POOL,\n};",
      {
        line: 6,
        column: 9,
        message:
          'config.pool is computed when the module runs, expected a string such as "reports"',
      },
    ],
    "a template with a hole": [
      "export const config = { pool: `a${1}` };",
      {
        line: 1,
        column: 31,
        message:
          'config.pool is computed when the module runs, expected a string such as "reports"',
      },
    ],
    "a guard that only running tells": [
      "export const config = { files: process.env.FILES };",
      {
        line: 1,
        column: 32,
        message: "config.files is computed when the module runs, expected true or false",
      },
    ],
    "a name that is none": [
      'export const config = { pool: "My Pool" };',
      {
        line: 1,
        column: 31,
        message:
          'config.pool is "My Pool", expected a name such as "reports" in lower-case letters, digits and "-"',
      },
    ],
  };
  for (const [name, [text, expected]] of Object.entries(refused)) {
    it(`refuses ${name}, and says where`, async () => {
      assert.deepEqual(await readConfig(text + HANDLER, "x.ts"), { ok: false, ...expected });
    });
  }
});
