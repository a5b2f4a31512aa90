import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import * as fc from "fast-check";
import { runImport } from "../../runtime/cli/import/import.ts";
import { Section } from "../../runtime/cli/import/section.ts";
import type { ImportOutcome } from "../../runtime/cli/import/write-files.ts";
import { writeConfig } from "../../runtime/cli/import/write-config.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

function folder(t: TestContext, files: Record<string, string>): string {
  const dir = temporaryFolder(t);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
  return dir;
}

function run(cwd: string, words: string[], json = false): Promise<ImportOutcome> {
  return runImport({ words, environment: null, json, cwd, env: process.env });
}

const SITE = "server { listen 8080; root /srv/www; }";

describe("runImport()", () => {
  it("writes the config file, and exits with 0 if nothing is lost", async (t) => {
    const dir = folder(t, { "nginx.conf": SITE });
    const { text, exitCode } = await run(dir, ["nginx.conf"]);
    assert.equal(exitCode, 0);
    assert.match(text, /created edgicorn\.config\.ts\nevery line is carried over/);
    const config = readFileSync(join(dir, "edgicorn.config.ts"), "utf8");
    assert.deepEqual(evaluate(config), { http: 8080, https: false, public: "/srv/www" });
  });

  it("tells each line that is lost in the answer and in the file, and exits with 1", async (t) => {
    const dir = folder(t, { "nginx.conf": "user www;\nhttp { server { listen 80; } }" });
    const { text, exitCode } = await run(dir, ["nginx.conf"]);
    assert.equal(exitCode, 1);
    assert.match(text, /lost {4}nginx\.conf:1 user www\n {8}start the server as this user/);
    assert.match(text, /1 line needs a look/);
    assert.match(
      readFileSync(join(dir, "edgicorn.config.ts"), "utf8"),
      /\/\/ nginx\.conf:1 user www: /,
    );
  });

  it("prints with --json, and writes nothing", async (t) => {
    const dir = folder(t, { "nginx.conf": SITE, "edgicorn.config.js": "" });
    const { text, exitCode } = await run(dir, ["nginx.conf"], true);
    assert.equal(exitCode, 0);
    assert.deepEqual(JSON.parse(text), {
      config: { http: 8080, https: false, public: "/srv/www" },
      remarks: [],
    });
  });

  it("never replaces a config file", async (t) => {
    const dir = folder(t, { "nginx.conf": SITE, "edgicorn.config.js": "mine" });
    await assert.rejects(run(dir, ["nginx.conf"]), {
      code: "ERR_CONFIG",
      message: /Cannot write edgicorn\.config\.ts: found edgicorn\.config\.js/,
    });
    assert.equal(readFileSync(join(dir, "edgicorn.config.js"), "utf8"), "mine");
  });

  const mistakes: readonly [words: string[], message: RegExp][] = [
    [[], /found no file, expected nginx\.conf/],
    [["a.conf", "b.conf"], /found a\.conf before it, expected one config file of Nginx/],
    [["no.conf"], /Cannot read no\.conf: ENOENT/],
    [["bad.conf"], /Cannot import bad\.conf: found "listen 80" without ;|bad\.conf:2/],
    [["app:app"], /found no file/],
  ];
  for (const [words, message] of mistakes) {
    it(`refuses ${JSON.stringify(words)}`, async (t) => {
      const dir = folder(t, { "bad.conf": "server {\n listen 80\n}", "a.conf": "", "b.conf": "" });
      await assert.rejects(run(dir, words), { code: "ERR_CONFIG", message });
    });
  }
});

describe("includes", () => {
  it("are read in order, also those of patterns, relative to the first file", async (t) => {
    const dir = folder(t, {
      "etc/nginx.conf":
        "http { include mime.types; include sites/*.conf; include conf.[ab]/one.c?nf; }",
      "etc/sites/2.conf": "server { listen 80; server_name b.example; include parts/root.conf; }",
      "etc/sites/1.conf": "server { listen 80 default_server; return 444; }",
      "etc/sites/.hidden.conf": "broken",
      "etc/parts/root.conf": "root /srv/b;",
      "etc/conf.a/one.conf": "gzip off;",
    });
    const { text, exitCode } = await run(dir, ["etc/nginx.conf"], true);
    assert.equal(exitCode, 0, text);
    assert.deepEqual((JSON.parse(text) as { config: unknown }).config, {
      http: 80,
      https: false,
      compression: false,
      unknownHost: "refuse",
      sites: { "b.example": { public: "/srv/b" } },
    });
  });

  it("that are missing or go round in circles are lines of the report", async (t) => {
    const dir = folder(t, {
      "nginx.conf": "include circle.conf; include none.conf; include none/*.conf;",
      "circle.conf": "include circle.conf;",
    });
    const { text, exitCode } = await run(dir, ["nginx.conf"]);
    assert.equal(exitCode, 1);
    assert.match(text, /circle\.conf:1 include circle\.conf\n +the files include each other/);
    assert.match(text, /nginx\.conf:1 include none\.conf\n +there is no such file here/);
    assert.match(text, /2 lines need/);
  });

  it("with a mistake are named with their line", async (t) => {
    const dir = folder(t, { "nginx.conf": "include a.conf;", "a.conf": "\n\nlisten" });
    await assert.rejects(run(dir, ["nginx.conf"]), { message: /"listen" without ; at a\.conf:3/ });
  });
});

describe("writeConfig()", () => {
  it("writes every text so that it comes back", () => {
    const text = fc.string({ unit: "binary", maxLength: 30 });
    fc.assert(
      fc.property(fc.dictionary(text, fc.oneof(text, fc.array(text))), (members) => {
        const config = new Section();
        for (const [key, value] of Object.entries(members)) config.set(key, value);
        assert.deepEqual(evaluate(writeConfig(config, ["nginx.conf"])), { ...members });
      }),
    );
  });

  it("keeps notes within their comments", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 30 }), (text) => {
        const outer = new Section();
        const inner = outer.child("inner");
        const note = {
          place: text,
          line: `${text}\r\n*/ evil()`,
          reason: text,
          kind: "lost",
        } as const;
        inner.notes.push(note);
        outer.notes.push(note);
        inner.set("key", 1);
        outer.set("list", [inner]);
        const expected = { inner: { key: 1 }, list: [{ key: 1 }] };
        assert.deepEqual(evaluate(writeConfig(outer, [`a\n${text}`])), expected);
      }),
    );
  });
});

/** Returns the object that a config file exports. */
function evaluate(text: string): unknown {
  const body = text
    .replace('import { defineConfig } from "edgicorn";', "")
    .replace("export default defineConfig(", "return (");
  // oxlint-disable-next-line no-implied-eval -- The test is about texts that become code.
  const load = new Function(body) as () => unknown;
  return load();
}
