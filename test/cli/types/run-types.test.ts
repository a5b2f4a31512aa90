import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { readTemplate } from "../../../runtime/cli/init/init.ts";
import { runTypes, type TypesOptions } from "../../../runtime/cli/types/run-types.ts";
import { temporaryFolder } from "../../helpers/temporary-folder.ts";

const FILE = "edgicorn-env.d.ts";

function makeProject(t: TestContext, files: Readonly<Record<string, string>>): string {
  const dir = temporaryFolder(t);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  }
  return dir;
}

function options(cwd: string, more: Partial<TypesOptions> = {}): TypesOptions {
  return { check: false, output: null, flags: {}, env: {}, cwd, ...more };
}

const PROJECT = {
  "edgicorn.config.mjs": `export default { bindings: { SESSIONS: { kv: "sessions" } } };`,
  "handlers/users/[id].get.ts": "",
  "handlers/users/_helper.ts": "",
};

describe("runTypes()", () => {
  it("writes the types once, and finds them up to date then", async (t) => {
    const dir = makeProject(t, PROJECT);
    const missing = await runTypes(options(dir, { check: true }));
    assert.equal(missing.exitCode, 1);
    assert.match(missing.problem, /found no such file/);

    const { text, exitCode } = await runTypes(options(dir));
    assert.deepEqual([text, exitCode], [`created  ${FILE}: 1 binding, 1 route\n`, 0]);
    const written = readFileSync(join(dir, FILE), "utf8");
    assert.match(written, /readonly SESSIONS: KvNamespace;/);
    assert.match(
      written,
      /"\/users\/:id": \{ params: \{ readonly id: string \}; methods: "GET" \}/,
    );
    const { ino } = statSync(join(dir, FILE));

    assert.equal((await runTypes(options(dir))).text, `${FILE} is up to date\n`);
    assert.equal((await runTypes(options(dir, { check: true }))).exitCode, 0);
    assert.equal(statSync(join(dir, FILE)).ino, ino, "an unchanged file is not written");
  });

  it("tells the difference, and replaces a file of its own", async (t) => {
    const dir = makeProject(t, PROJECT);
    await runTypes(options(dir));
    writeFileSync(join(dir, "handlers/about.ts"), "");
    const checked = await runTypes(options(dir, { check: true }));
    assert.equal(checked.exitCode, 1);
    assert.match(checked.problem, /^\+ {5}"\/about": \{/m);
    assert.equal((await runTypes(options(dir))).text, `changed  ${FILE}: 1 binding, 2 routes\n`);
    assert.equal((await runTypes(options(dir, { check: true }))).exitCode, 0);
    // A version control system may write other ends of lines.
    const text = readFileSync(join(dir, FILE), "utf8");
    writeFileSync(join(dir, FILE), text.replaceAll("\n", "\r\n"));
    assert.equal((await runTypes(options(dir, { check: true }))).exitCode, 0);
  });

  it("replaces the file of init, and keeps one that a person wrote", async (t) => {
    const dir = makeProject(t, { ...PROJECT, [FILE]: readTemplate("common", FILE) });
    assert.match((await runTypes(options(dir))).text, /^changed/);

    const own = 'declare module "edgicorn" { interface Env { A: string } }\n';
    writeFileSync(join(dir, FILE), own);
    await assert.rejects(runTypes(options(dir)), {
      code: "ERR_CONFIG",
      message: /^Cannot write edgicorn-env\.d\.ts: found a file that was written by hand/,
    });
    assert.equal(readFileSync(join(dir, FILE), "utf8"), own);
    const other = await runTypes(options(dir, { output: "other.d.ts" }));
    assert.match(other.text, /^created {2}other\.d\.ts/);
  });

  it("names the reason when the file cannot be written, and leaves no draft", async (t) => {
    const dir = makeProject(t, PROJECT);
    mkdirSync(join(dir, "taken.d.ts"));
    for (const output of ["none/env.d.ts", "taken.d.ts"]) {
      await assert.rejects(runTypes(options(dir, { output })), {
        code: "ERR_CONFIG",
        message: /^Cannot (?:read|write) .*: (?:ENOENT|EISDIR)$/,
      });
    }
    assert.deepEqual(
      readdirSync(dir).filter((name) => name.endsWith(".tmp")),
      [],
    );
  });

  it("refuses wrong settings and names of handlers", async (t) => {
    const dir = makeProject(t, PROJECT);
    await assert.rejects(runTypes(options(dir, { flags: { http: "many" } })), {
      code: "ERR_CONFIG",
    });
    writeFileSync(join(dir, "handlers/[a].[b].ts"), "");
    await assert.rejects(runTypes(options(dir)), { code: "ERR_HANDLER_LOAD" });
  });
});
