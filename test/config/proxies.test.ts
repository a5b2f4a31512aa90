import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { type Config, loadConfig } from "../../runtime/config/config.ts";
import { listProxies, listUpstreamGroups } from "../../runtime/config/proxies.ts";
import { listSites, toSiteSettings } from "../../runtime/config/sites.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

async function load(
  t: TestContext,
  values: object,
  flags: Record<string, string> = {},
): Promise<Config> {
  const cwd = temporaryFolder(t);
  writeFileSync(join(cwd, "edgicorn.config.json"), JSON.stringify(values));
  return loadConfig({ mode: "production", flags, env: {}, cwd });
}

async function problemsOf(t: TestContext, values: object): Promise<string[]> {
  const error: unknown = await load(t, values).catch((caught: unknown) => caught);
  assert.ok(error instanceof Error, "the config is refused");
  return error.message.split("\n");
}

describe("listProxies(), listUpstreamGroups()", () => {
  it("finds the proxies of the server, of sites and of rules, and one group for each server", async (t) => {
    const config = await load(t, {
      proxy: "http://127.0.0.1:3000",
      rules: [
        { path: "/a/**", proxy: "api" },
        { path: "/b", respond: { status: 410 } },
      ],
      sites: {
        "a.example": {
          proxy: "http://127.0.0.1:3000/base",
          rules: [{ proxy: "unix:/run/a.sock" }],
        },
      },
      upstreams: { api: ["http://10.0.0.1"], unused: ["http://10.0.0.2"] },
    });
    assert.deepEqual(
      listProxies(config).map(({ key, proxy }) => [key, proxy.group]),
      [
        ["proxy", "http://127.0.0.1:3000"],
        ["rules[0].proxy", "api"],
        ['sites["a.example"].proxy', "http://127.0.0.1:3000"],
        ['sites["a.example"].rules[0].proxy', "unix:/run/a.sock"],
      ],
    );
    assert.deepEqual(
      listUpstreamGroups(config).map(({ name, servers }) => [name, servers.length]),
      [
        ["api", 1],
        ["unused", 1],
        ["http://127.0.0.1:3000", 1],
        ["unix:/run/a.sock", 1],
      ],
    );
  });

  it("reads a proxy from a flag, and needs no handlers then", async (t) => {
    const config = await load(t, {}, { proxy: "http://127.0.0.1:3000/base" });
    assert.deepEqual(
      [config.proxy?.group, config.proxy?.addPrefix],
      ["http://127.0.0.1:3000", "/base"],
    );
  });

  it("gives the proxy of the server to the default site only", async (t) => {
    const config = await load(t, {
      proxy: "http://127.0.0.1:3000",
      sites: { "a.example": { rules: [] }, "b.example": { proxy: "http://127.0.0.1:4000" } },
    });
    const proxies = listSites(config).map((site) => [
      site.name,
      toSiteSettings(config, site).proxy?.group ?? null,
    ]);
    assert.deepEqual(proxies, [
      ["default", "http://127.0.0.1:3000"],
      ["a.example", null],
      ["b.example", "http://127.0.0.1:4000"],
    ]);
  });
});

describe("loadConfig()", () => {
  it("refuses proxies to groups that do not exist, with place and remedy", async (t) => {
    const problems = await problemsOf(t, {
      proxy: "apo",
      rules: [{ proxy: "other" }],
      upstreams: { api: ["http://10.0.0.1"] },
    });
    assert.deepEqual(problems, [
      'Cannot use proxy in edgicorn.config.json: found "apo", expected "api"',
      'Cannot use rules[0].proxy: found "other", expected a URL, or one of api',
    ]);
    assert.deepEqual(await problemsOf(t, { proxy: "api" }), [
      'Cannot use proxy in edgicorn.config.json: found "api", expected a URL such as "http://127.0.0.1:3000", or a group of this name in "upstreams"',
    ]);
  });

  it("names the wrong member of a proxy", async (t) => {
    assert.deepEqual(await problemsOf(t, { proxy: { to: "http://10.0.0.1", stripPrefix: "x" } }), [
      'Cannot use proxy.stripPrefix in edgicorn.config.json: found "x", expected a path such as "/api", of letters, digits and "-._~"',
    ]);
    assert.deepEqual(await problemsOf(t, { rules: [{ path: "/a/**", proxy: { to: "a b" } }] }), [
      'Cannot use rules[0].proxy.to in edgicorn.config.json: found "a b", expected a URL such as "http://127.0.0.1:3000", "unix:/run/app.sock", or the name of a group in "upstreams"',
    ]);
  });

  it("refuses the page of an application that a proxy would hide", async (t) => {
    const proxy = "http://127.0.0.1:3000";
    const [problem = "", ...others] = await problemsOf(t, { proxy, spa: true });
    assert.deepEqual(others, []);
    assert.match(
      problem,
      /^Cannot use spa in edgicorn\.config\.json: found a page, and a proxy that/,
    );
    const ofSite = await problemsOf(t, { sites: { "a.example": { proxy, spa: true } } });
    assert.match(ofSite.join(), /^Cannot use sites\["a\.example"\]\.spa: found a page/);
    const apart = await load(t, { proxy, sites: { "a.example": { spa: true } } });
    assert.equal(apart.proxy?.group, proxy);
  });
});
