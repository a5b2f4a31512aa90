import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import pino from "pino";
import type { PurgingSite } from "../../runtime/cache/response-cache.ts";
import { Kind, type PurgedMessage } from "../../runtime/channel/messages.ts";
import { type Config, loadConfig } from "../../runtime/config/config.ts";
import { HandlerPurges } from "../../runtime/handlers/purges.ts";
import { RuntimeError } from "../../runtime/lib/errors.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const SITES = { "one.example": { aliases: ["*.one.example"] }, "two.example": {} };

/** Purges under a config, and the sites that the cache was asked for. */
async function start(t: TestContext, purgeNamed = (): Promise<number> => Promise.resolve(3)) {
  const cwd = temporaryFolder(t);
  mkdirSync(join(cwd, "handlers"));
  const configOf = async (sites: object): Promise<Config> => {
    writeFileSync(join(cwd, "edgicorn.config.json"), JSON.stringify({ sites }));
    return loadConfig({ mode: "production", flags: {}, env: {}, cwd });
  };
  const asked: [string, PurgingSite | undefined][] = [];
  const logs: string[] = [];
  const purges = new HandlerPurges({
    log: pino({}, { write: (line: string) => void logs.push(line) }),
    cache: {
      purgeNamed: (text, site) => {
        asked.push([text, site]);
        return purgeNamed();
      },
    },
    config: await configOf({}),
  });
  const run = async (site?: string): Promise<PurgedMessage[]> => {
    const replies: PurgedMessage[] = [];
    await purges.run({ number: 9, entries: "all", site }, (message) => replies.push(message));
    return replies;
  };
  return { purges, asked, logs, run, configOf };
}

describe("HandlerPurges", () => {
  it("lets the only site purge everything", async (t) => {
    const { run, asked } = await start(t);
    assert.deepEqual(await run(), [[Kind.purged, 9, 3]]);
    assert.deepEqual(asked, [["all", undefined]]);
  });

  it("lets a site reach its own hosts, and the default site all that no other one has", async (t) => {
    const { run, asked, purges, configOf } = await start(t);
    purges.adopt(await configOf(SITES));
    const origins = [
      "https://one.example",
      "http://a.one.example:8080",
      "https://two.example",
      "https://other.example",
    ];
    const expected = { "one.example": [0, 1], "two.example": [2], default: [3] };
    for (const [name, reached] of Object.entries(expected)) {
      await run(name === "default" ? undefined : name);
      const site = asked.at(-1)?.[1] ?? assert.fail("all sites");
      assert.equal(site.name, name);
      const found = origins.flatMap((origin, at) => (site.hasOrigin(origin) ? [at] : []));
      assert.deepEqual(found, reached, name);
    }
    purges.adopt(await configOf({}));
    await run();
    assert.equal(asked.at(-1)?.[1], undefined);
  });

  it("answers with the reason for a refusal", async (t) => {
    const { run, logs } = await start(t, () =>
      Promise.reject(new RuntimeError("ERR_CONFIG", "Cannot purge: found nothing")),
    );
    assert.deepEqual(await run(), [[Kind.purged, 9, "Cannot purge: found nothing"]]);
    assert.deepEqual(logs, []);
  });

  it("logs a bug, and tells the handler nothing of the inside", async (t) => {
    const { run, logs } = await start(t, () => Promise.reject(new Error("inside")));
    assert.deepEqual(await run(), [[Kind.purged, 9, "Cannot purge: the server failed"]]);
    assert.match(logs.join(""), /inside/);
  });
});
