import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import {
  describeEnvFileProblems,
  describeEnvFiles,
  parseEnvFile,
  readEnvFiles,
} from "../../runtime/config/env-files.ts";
import { RuntimeError } from "../../runtime/lib/errors.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

describe("parseEnvFile()", () => {
  // Node's parser does this, from version to version: a table of its own tells when one differs.
  for (const [text, expected] of [
    ["A=1\nB=2", { A: "1", B: "2" }],
    ["A=1\r\nB=2\r\n", { A: "1", B: "2" }],
    ["\uFEFFA=1", { A: "1" }],
    ["export A=1\n  export B = 2", { A: "1", B: "2" }],
    ["# A=1\n\nB=2 # why", { B: "2" }],
    ["A=a=b=c\nB=postgres://u:p@h/db?x=y", { A: "a=b=c", B: "postgres://u:p@h/db?x=y" }],
    ["A=\nB=''\nC=1", { A: "", B: "", C: "1" }],
    [`A="a # b"\nB='a # b'\nC=\`"a" 'b'\``, { A: "a # b", B: "a # b", C: `"a" 'b'` }],
    [`A="a\\nb"\nB='a\\nb'`, { A: "a\nb", B: "a\\nb" }],
    [`A="first\nsecond"\nB=1`, { A: "first\nsecond", B: "1" }],
    [`A="first\r\nsecond"\r\nB=1`, { A: "first\nsecond", B: "1" }],
    [`A="x" # why\nB='y' # why`, { A: "x", B: "y" }],
    ["A=  spaced  \nB=$A", { A: "spaced", B: "$A" }],
    ["A=1\nA=2", { A: "2" }],
    ["A.b-c=1", { "A.b-c": "1" }],
  ] as const) {
    it(`reads ${JSON.stringify(text)}`, () => {
      assert.deepEqual(parseEnvFile(text), expected);
    });
  }
});

describe("readEnvFiles()", () => {
  const files = {
    ".env": "A=env\nB=env\nC=env\nEDGICORN_HTTP=1",
    ".env.local": "B=local\nC=local",
    "other.env": "A=other",
    "more.env": "A=more\nB=more",
  };

  function project(t: Parameters<typeof temporaryFolder>[0]): string {
    const cwd = temporaryFolder(t);
    for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, name), text);
    return cwd;
  }

  it("lets the environment win over .env.local, and that over .env", (t) => {
    const cwd = project(t);
    const read = readEnvFiles({ flag: undefined, env: { C: "real" }, cwd });
    assert.deepEqual(read.variables, { A: "env", B: "local", EDGICORN_HTTP: "1" });
    assert.deepEqual(read.files, [join(cwd, ".env"), join(cwd, ".env.local")]);
    const summary = describeEnvFiles({ envFiles: read.files, variables: read.variables }, cwd);
    assert.equal(summary, "3 variables from .env, .env.local");
  });

  it("reads the named files instead, the last one last", (t) => {
    const cwd = project(t);
    const flag = "other.env, more.env";
    assert.deepEqual(readEnvFiles({ flag, env: {}, cwd }).variables, { A: "more", B: "more" });
    const env = { EDGICORN_ENV_FILE: join(cwd, "other.env") };
    assert.deepEqual(readEnvFiles({ flag: undefined, env, cwd }).variables, { A: "other" });
    const off = readEnvFiles({ flag: undefined, env: { EDGICORN_ENV_FILE: "off" }, cwd });
    assert.deepEqual(off, { files: [], variables: {}, places: {} });
  });

  it("needs no file, and takes a folder .env for none", (t) => {
    const cwd = temporaryFolder(t);
    assert.deepEqual(readEnvFiles({ flag: undefined, env: {}, cwd }).files, []);
    mkdirSync(join(cwd, ".env"));
    assert.deepEqual(readEnvFiles({ flag: undefined, env: {}, cwd }).files, []);
  });

  it("refuses what it cannot read", (t) => {
    const cwd = project(t);
    mkdirSync(join(cwd, "folder"));
    for (const [flag, pattern] of [
      ["missing.env", /--env-file: found no file at missing\.env, expected a file of NAME=value/],
      ["other.env,missing.env", /found no file at missing\.env/],
      ["folder", /--env-file: found a folder at folder/],
    ] as const) {
      assert.throws(() => readEnvFiles({ flag, env: {}, cwd }), pattern);
    }
    const env = { EDGICORN_ENV_FILE: "missing.env" };
    assert.throws(() => readEnvFiles({ flag: undefined, env, cwd }), /EDGICORN_ENV_FILE: found no/);
    writeFileSync(join(cwd, "nul.env"), "A=1\nB=secret\0\n");
    writeFileSync(join(cwd, "utf16.env"), Buffer.from("A=1\nB=2", "utf16le"));
    for (const [flag, line] of [
      ["nul.env", 2],
      ["utf16.env", 1],
    ] as const) {
      assert.throws(() => readEnvFiles({ flag, env: {}, cwd }), {
        code: "ERR_CONFIG",
        message: `Cannot use ${flag}:${line}: found a NUL character, expected a text file in UTF-8`,
      });
    }
    const loop = temporaryFolder(t);
    symlinkSync(join(loop, "a"), join(loop, "b"));
    symlinkSync(join(loop, "b"), join(loop, "a"));
    assert.throws(() => readEnvFiles({ flag: "a", env: {}, cwd: loop }), RuntimeError);
  });
});

describe("describeEnvFileProblems()", () => {
  it("names lines that set nothing, without their text", (t) => {
    const cwd = temporaryFolder(t);
    const path = join(cwd, ".env");
    writeFileSync(
      path,
      `# ok\nA=1\nPASSWORD hunter2\nB="a\nno sign\n"\nC: 3\n\nexport D\nE='it\nF="`,
    );
    const lines = describeEnvFileProblems([path], cwd);
    assert.deepEqual(
      lines.map((line) => /^\.env:\d+ sets no variable|^\.env:\d+ .*never closes/.exec(line)?.[0]),
      [
        ...[3, 7, 9].map((line) => `.env:${line} sets no variable`),
        ...[`10 has no value as meant: found a '`, `11 has no value as meant: found a "`].map(
          (text) => `.env:${text} that opens and never closes`,
        ),
      ],
    );
    assert.ok(!lines.join().includes("hunter2"));
  });
});
