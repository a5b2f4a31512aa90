import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import {
  adminAddress,
  adminToken,
  formatAdminAddress,
} from "../../runtime/config/admin-setting.ts";
import { digestOf } from "../../runtime/config/admin-token.ts";
import { type Config, loadConfig } from "../../runtime/config/config.ts";
import { toError } from "../../runtime/lib/errors.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const TOKEN = "correct-horse-battery";

interface Given {
  /** Content of the config file. Its evaluation takes a process. */
  file?: object;
  env?: Record<string, string>;
  flags?: Record<string, string>;
}

async function load(t: TestContext, { file, env = {}, flags = {} }: Given): Promise<Config> {
  const cwd = temporaryFolder(t);
  mkdirSync(join(cwd, "handlers"));
  writeFileSync(join(cwd, "token"), `${TOKEN}\n`);
  writeFileSync(join(cwd, "short"), "abc");
  if (file !== undefined) writeFileSync(join(cwd, "edgicorn.config.json"), JSON.stringify(file));
  return loadConfig({ mode: "production", flags, env, cwd });
}

/** The variables of these two settings. */
function toEnv(admin: string, token: string): Record<string, string> {
  return { EDGICORN_ADMIN: admin, EDGICORN_ADMIN_TOKEN: token };
}

async function problem(...given: Parameters<typeof load>): Promise<string> {
  const refused = await load(...given).then(() => null, toError);
  assert.ok(refused !== null, "accepted");
  return refused.message;
}

describe("adminAddress()", () => {
  const cases: [string | number, string | null][] = [
    ["127.0.0.1:9090", "127.0.0.1:9090"],
    ["9090", "127.0.0.1:9090"],
    [9090, "127.0.0.1:9090"],
    ["[::1]:0", "[::1]:0"],
    ["Localhost:1", "localhost:1"],
    ["*:9090", "[::]:9090"],
    ["unix:run/admin.sock", "unix:run/admin.sock"],
    ["", null],
    ["127.0.0.1", null],
    ["127.0.0.1:", null],
    ["127.0.0.1:65536", null],
    ["1.2.3:80", null],
    ["::1:9090", null],
    ["[a.example]:9090", null],
    ["http://127.0.0.1:9090", null],
    ["unix:", null],
    ["unix:run/", null],
    [-1, null],
    [1.5, null],
  ];
  it("reads an address with a port, a port, or a socket", () => {
    for (const [text, expected] of cases) {
      const parsed = adminAddress().parse(text);
      assert.equal(
        parsed === null ? null : formatAdminAddress(parsed.value),
        expected,
        String(text),
      );
    }
  });
});

describe("adminToken()", () => {
  it("takes long texts without spaces, and files", () => {
    const { parse } = adminToken();
    for (const text of [TOKEN, "x".repeat(16), "file:token"]) assert.notEqual(parse(text), null);
    for (const text of ["x".repeat(15), "sixteen letters and", "schlüssel-schlüssel", "file:", 7]) {
      assert.equal(parse(text), null, String(text));
    }
  });
});

describe("admin, adminToken", () => {
  it("leave a digest in the config", async (t) => {
    const read = async (given: Given): Promise<unknown> => (await load(t, given)).adminTokenDigest;
    assert.equal(await read({ env: toEnv("", TOKEN) }), digestOf(TOKEN));
    assert.equal(await read({ env: toEnv("", "file:token") }), digestOf(TOKEN));
    assert.equal(await read({ flags: { adminToken: "file:token" } }), digestOf(TOKEN));
    assert.equal(await read({}), null);
    const config = await load(t, { file: { adminToken: TOKEN } });
    assert.equal(config.adminTokenDigest, digestOf(TOKEN));
    assert.doesNotMatch(JSON.stringify(config), new RegExp(TOKEN));
  });

  it("are refused without showing the token", async (t) => {
    const text = await problem(t, { env: toEnv("", "my secret") });
    assert.match(
      text,
      /^Cannot use EDGICORN_ADMIN_TOKEN: found "\(9 characters\)", expected a text/,
    );
    const none = await problem(t, { env: toEnv("", "file:none") });
    assert.match(none, /ENOENT.*, expected a file that has/);
    const short = await problem(t, { env: toEnv("", "file:short") });
    assert.match(short, /found 3 characters in .*short, expected/);
    const flag = await problem(t, { flags: { adminToken: TOKEN } });
    assert.match(flag, /^Cannot use --admin-token: found a token, which all users of the machine/);
    assert.doesNotMatch(flag, new RegExp(TOKEN));
  });

  it("need a token where other machines reach the address", async (t) => {
    for (const admin of ["0.0.0.0:9090", "*:9090", "192.0.2.1:9090", "admin.example:9090"]) {
      const text = await problem(t, { env: toEnv(admin, "") });
      assert.match(text, /which other machines reach, and no adminToken/);
      await load(t, { env: toEnv(admin, TOKEN) });
    }
    for (const admin of ["127.1.2.3:9090", "localhost:9090", "[::1]:9090", "unix:admin.sock"]) {
      await load(t, { env: toEnv(admin, "") });
    }
  });

  it("are refused where a proxy leads to the address", async (t) => {
    const toHere = "http://localhost:9090";
    const text = await problem(t, { env: { EDGICORN_ADMIN: "9090", EDGICORN_PROXY: toHere } });
    assert.ok(text.includes(`found that the proxy to "${toHere}" leads to it`), text);
    await load(t, { env: { EDGICORN_ADMIN: "9090", EDGICORN_PROXY: "http://10.0.0.1:9090" } });
    const rules = [{ path: "/a", proxy: "unix:/run/admin.sock" }];
    const upstreams = { api: ["http://127.0.0.1:9090"] };
    const ofRule = await problem(t, { file: { admin: "unix:/run/admin.sock", rules } });
    assert.match(ofRule, /the proxy to "unix:\/run\/admin.sock" leads to it/);
    const ofGroup = await problem(t, { file: { admin: 9090, upstreams, proxy: "api" } });
    assert.match(ofGroup, /the proxy to "api" leads to it/);
  });

  it("resolve the path of a socket against the file", async (t) => {
    const { admin, configFile } = await load(t, { file: { admin: "unix:run/admin.sock" } });
    assert.deepEqual(admin, { kind: "unix", path: join(configFile ?? "", "../run/admin.sock") });
  });
});
