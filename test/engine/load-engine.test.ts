import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { loadConfig } from "../../runtime/config/config.ts";
import { loadEngine, pickEngines } from "../../runtime/engine/load-engine.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

describe("pickEngines()", () => {
  const usual = { engine: "auto", http2: false, h2c: false, httpPort: 80, httpsPort: 443 } as const;
  type Case = [title: string, own: Partial<Parameters<typeof pickEngines>[0]>, picked: object];
  const rows: Case[] = [
    ["one engine for all ports", { engine: "uws" }, { http: "uws", https: "uws" }],
    [
      "one for each port",
      { engine: { http: "uws", https: "node" } },
      { http: "uws", https: "node" },
    ],
    ["HTTP/2 over TLS", { engine: "uws", http2: true }, { http: "uws", https: "node" }],
    ["HTTP/2 without TLS", { h2c: true }, { http: "node", https: "auto" }],
    ["a port that is off", { httpPort: null, http2: true }, { http: null, https: "node" }],
    ["no port", { httpPort: null, httpsPort: null }, { http: "auto", https: "auto" }],
  ];
  for (const [title, own, picked] of rows) {
    it(`knows ${title}`, () => assert.deepEqual(pickEngines({ ...usual, ...own }), picked));
  }
});

describe("loadEngine()", () => {
  it("opens each port with its engine, and names both", async (t) => {
    const cwd = temporaryFolder(t);
    const flags = { app: "app:app", engine: "http=node,https=auto", http: "0", https: "0" };
    const config = await loadConfig({ mode: "production", flags, env: {}, cwd });
    const engine = await loadEngine(config, () => {});
    if (engine.isInstead === true) {
      t.skip("no binary of uWebSockets.js loads here");
      return;
    }
    assert.equal(engine.kind, "both");
    assert.match(engine.label, /^\S+ \S+, Node [\d.]+ for HTTP$/);
  });

  it("does not load uWebSockets.js for a port that is off", async (t) => {
    const cwd = temporaryFolder(t);
    const flags = { app: "app:app", engine: "http=uws,https=node", http: "off", https: "0" };
    const engine = await loadEngine(
      await loadConfig({ mode: "production", flags, env: {}, cwd }),
      () => {},
    );
    assert.deepEqual([engine.kind, engine.label], ["node", `Node ${process.versions.node}`]);
  });
});
