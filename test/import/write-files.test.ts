import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { runImport } from "../../runtime/cli/import/import.ts";
import { finishImport, writeFiles } from "../../runtime/cli/import/write-files.ts";
import { loadConfig } from "../../runtime/config/config.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const PROJECT: Readonly<Record<string, string>> = {
  "wrangler.toml":
    'main = "src/index.ts"\nservices = [{ binding = "MAIL", service = "mail" }]\n[assets]\ndirectory = "dist"\nrun_worker_first = ["/private/*"]\n',
  "src/index.ts": "export default { fetch() { return new Response() } }",
  "dist/private/a.txt": "A",
  ".dev.vars": "A=1\nB=2\n",
  "secrets/B": "mine",
};

/** A project that the one above calls. */
const MAIL: Readonly<Record<string, string>> = {
  "mail/wrangler.toml": 'name = "mail"\nmain = "index.js"',
  "mail/index.js": "export default { fetch() { return new Response() } }",
};

function folder(t: TestContext, files: Readonly<Record<string, string>>): string {
  const dir = temporaryFolder(t);
  for (const [name, text] of Object.entries(files)) write(dir, name, text);
  return dir;
}

function write(...[dir, name, text]: [dir: string, name: string, text: string]): void {
  mkdirSync(dirname(join(dir, name)), { recursive: true });
  writeFileSync(join(dir, name), text);
}

/** Returns the texts of all files, by their paths. */
function readAll(dir: string): Record<string, string> {
  const names = readdirSync(dir, { recursive: true, encoding: "utf8" }).toSorted();
  const files = names.filter((name) => statSync(join(dir, name)).isFile());
  return Object.fromEntries(files.map((name) => [name, readFileSync(join(dir, name), "utf8")]));
}

async function run(cwd: string): Promise<string> {
  const options = { words: ["wrangler.toml"], environment: null, json: false };
  return (await runImport({ ...options, cwd, env: process.env })).text;
}

/** Runs an import that dies before the nth rename. Resolves to the signal. */
function runKilled(cwd: string, count: number): Promise<string | null> {
  const script = join(import.meta.dirname, "killed-import.ts");
  const args = ["--import", import.meta.resolve("tsx"), script, String(count)];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { cwd }, (error, _stdout, stderr) => {
      if (error === null || error.signal === "SIGKILL") resolve(error?.signal ?? null);
      else reject(new Error(stderr, { cause: error }));
    });
  });
}

describe("an import that is killed", { timeout: 300_000 }, () => {
  it("has no handlers without the config, and the next one completes it", async (t) => {
    const project = folder(t, PROJECT);
    const whole = join(folder(t, MAIL), "project");
    cpSync(project, whole, { recursive: true });
    const printed = await run(whole);
    const expected = readAll(whole);
    const seen: string[] = [];
    /** The settings that a start refuses while files are missing. */
    const refused = new Set<string>();
    for (let count = 1; ; count++) {
      const dir = join(folder(t, MAIL), "project");
      cpSync(project, dir, { recursive: true });
      // oxlint-disable-next-line no-await-in-loop -- The first import that survives ends the loop.
      if ((await runKilled(dir, count)) === null) break;
      const [hasConfig, hasHandlers] = ["edgicorn.config.ts", "handlers"].map((name) =>
        existsSync(join(dir, name)),
      );
      assert.ok(hasConfig === true || hasHandlers === false, `killed before rename ${count}`);
      if (hasConfig === true && hasHandlers === false) {
        const sources = { mode: "production", flags: {}, env: {}, cwd: dir } as const;
        // oxlint-disable-next-line no-await-in-loop -- As above.
        await assert.rejects(loadConfig(sources), ({ message }: Error) => {
          refused.add(/^Cannot use (\w+)/.exec(message)?.[1] ?? message);
          return true;
        });
      }
      seen.push(`${hasConfig} ${hasHandlers}`);
      // oxlint-disable-next-line no-await-in-loop -- As above.
      const text = await run(dir);
      assert.ok(text.endsWith(printed), text);
      assert.equal(text.startsWith("finished an import that was cut off"), count > 1, text);
      assert.deepEqual(readAll(dir), expected);
    }
    assert.deepEqual([...new Set(seen)], ["false false", "true false", "true true"]);
    assert.deepEqual([...refused], ["bindings", "handlers"]);
  });
});

describe("writeFiles()", () => {
  const outcome = { text: "done\n", exitCode: 1 };
  const files = [
    { path: "config.ts", text: "C" },
    { path: "secrets/A", text: "S", isSecret: true },
    { path: "handlers/a/b.js", text: "B" },
  ] as const;

  it("replaces no file, and leaves none behind", (t) => {
    for (const name of ["config.ts", "secrets/A", "secrets", "handlers", "handlers/a/b.js"]) {
      const dir = folder(t, { [name]: "mine" });
      const before = readAll(dir);
      assert.throws(() => writeFiles(dir, files, outcome), {
        code: "ERR_CONFIG",
        message: `Cannot write ${name}: found a file of this name, expected none`,
      });
      assert.deepEqual(readAll(dir), before);
      assert.deepEqual(readdirSync(dir), [name.split("/")[0]]);
    }
  });

  it("adds to folders that are there, and keeps secrets from other users", (t) => {
    const dir = folder(t, { "handlers/a/c.js": "mine" });
    writeFiles(dir, files, outcome);
    const expected = { "config.ts": "C", "handlers/a/b.js": "B", "handlers/a/c.js": "mine" };
    assert.deepEqual(readAll(dir), { ...expected, "secrets/A": "S" });
    assert.equal(statSync(join(dir, "secrets")).mode & 0o077, 0);
    assert.equal(statSync(join(dir, "secrets/A")).mode & 0o077, 0);
    assert.deepEqual(readdirSync(dir).toSorted(), ["config.ts", "handlers", "secrets"]);
  });

  it("removes the draft of a process that is gone, and no other", (t) => {
    const gone = ".edgicorn-import-4194305";
    const alive = `.edgicorn-import-${process.ppid}`;
    const dir = folder(t, { [`${gone}/files/a`]: "", [`${alive}/files/a`]: "" });
    writeFiles(dir, files, outcome);
    assert.deepEqual(readdirSync(dir).toSorted(), [alive, "config.ts", "handlers", "secrets"]);
  });
});

describe("finishImport()", () => {
  const result = JSON.stringify({ text: "done\n", exitCode: 1, names: ["a", "b"] });

  it("returns null in a folder without such an import", (t) => {
    assert.equal(finishImport(folder(t, {})), null);
  });

  it("names a file that has the place of another, and goes on once it is away", (t) => {
    const dir = folder(t, {
      ".edgicorn-import/result.json": result,
      ".edgicorn-import/files/a": "A",
      ".edgicorn-import/files/b/c": "C",
      "b/c": "mine",
    });
    assert.throws(() => finishImport(dir), {
      code: "ERR_CONFIG",
      message:
        /^Cannot write b\/c: found a file of this name, expected none \(an import was cut off: move it away and import again/,
    });
    renameSync(join(dir, "b/c"), join(dir, "b/d"));
    assert.deepEqual(finishImport(dir), { text: "done\n", exitCode: 1 });
    assert.deepEqual(readAll(dir), { a: "A", "b/c": "C", "b/d": "mine" });
    assert.equal(finishImport(dir), null);
  });

  it("refuses a folder that no import has made", (t) => {
    const outside = [
      "..",
      ".",
      "",
      "../../evil",
      "/evil",
      "a/../../evil",
      "a/b",
      "..\\evil",
      "a\u001B",
    ];
    const names = outside.map((name) => JSON.stringify({ text: "x", exitCode: 0, names: [name] }));
    const codes = [-1, 0.5, 256].map((exitCode) =>
      JSON.stringify({ text: "x", exitCode, names: ["a"] }),
    );
    const results: (string | null)[] = [null, "", "{}", '{"text": 1}', ...names, ...codes];
    for (const text of results) {
      const name = text === null ? "other" : "result.json";
      const parent = folder(t, {
        [`a/b/.edgicorn-import/${name}`]: text ?? "",
        "a/b/.edgicorn-import/files/a/b": "",
        "a/evil": "",
      });
      const before = readAll(parent);
      const dir = join(parent, "a/b");
      assert.throws(() => finishImport(dir), {
        code: "ERR_CONFIG",
        message: /^Cannot use \.edgicorn-import: found no result of an import in it/,
      });
      assert.deepEqual(readAll(parent), before);
    }
  });

  const links: readonly [path: string, target: string, message: RegExp][] = [
    [".edgicorn-import", "outside", /^Cannot use .*: found the link "\.edgicorn-import", expected/],
    [".edgicorn-import/result.json", "outside/result.json", /found the link .*result\.json"/],
    [".edgicorn-import/files", "outside/files", /found the link .*files"/],
    [".edgicorn-import/files/a", "outside/files/a", /found the link .*files\/a"/],
    [".edgicorn-import/files/b/c", "outside/files/b/c", /found the link .*files\/b\/c"/],
    ["b", "outside", /^Cannot write b: found a link to a folder outside of the project/],
  ];
  for (const [path, target, message] of links) {
    it(`refuses a link that leads out: ${path}`, (t) => {
      const files = { "result.json": result, "files/a/d": "A", "files/b/c/d": "C" };
      const [parent, own] = [folder(t, {}), "project/.edgicorn-import"];
      for (const dir of [own, "outside"]) {
        for (const [name, text] of Object.entries(files)) write(parent, `${dir}/${name}`, text);
      }
      write(parent, "project/a/e", "mine");
      write(parent, "project/b/c/e", "mine");
      const place = join(parent, "project", path);
      rmSync(place, { recursive: true });
      symlinkSync(join(parent, target), place);
      const before = readAll(join(parent, "outside"));
      assert.throws(() => finishImport(join(parent, "project")), { code: "ERR_CONFIG", message });
      assert.deepEqual(readAll(join(parent, "outside")), before);
    });
  }

  it("follows a link to a folder of the project", (t) => {
    const dir = folder(t, {
      ".edgicorn-import/result.json": result,
      ".edgicorn-import/files/a/c": "C",
      "d/e": "mine",
    });
    symlinkSync("d", join(dir, "a"));
    finishImport(dir);
    assert.equal(readFileSync(join(dir, "d/c"), "utf8"), "C");
  });

  it("returns a text without the characters that control a terminal", (t) => {
    const text = "a\u001B[2J\rb\u009B\nc\n";
    const dir = folder(t, {
      ".edgicorn-import/result.json": JSON.stringify({ text, exitCode: 0, names: ["a"] }),
    });
    for (const path of [".edgicorn-import/files/a/\u001B[2J", "a/\u001B[2J"]) write(dir, path, "");
    assert.throws(() => finishImport(dir), /^RuntimeError: Cannot write a\/\[2J: found/);
    rmSync(join(dir, "a"), { recursive: true });
    assert.deepEqual(finishImport(dir), { text: "a[2Jb\nc\n", exitCode: 0 });
  });
});
