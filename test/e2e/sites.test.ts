import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { askServer } from "../helpers/ask-server.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";
import { send } from "../helpers/send.ts";

const FILES = {
  "sites/one.example/public/index.html": "one",
  "sites/one.example/public/one.txt": "one",
  "two/index.html": "two",
};

const SITES = {
  "one.example": { aliases: ["www.one.example", "*.one.example"] },
  "*.two.example": { aliases: ["two.example", "[::1]"], public: "two" },
  "shared.example": { public: "two" },
  "empty.example": { public: false },
};

/** Asks a server for a path at a host. */
async function ask(server: TestServer, host: string, path = "/"): Promise<[number, string]> {
  const { status, text } = await send(server.http + path, { headers: { host } });
  return [status, text];
}

describe("sites", { timeout: 120_000 }, () => {
  it("answer for their hosts, and change in one reload or not at all", async (t) => {
    const write = (config: object): void =>
      writeFileSync(join(server.dir, "edgicorn.config.json"), JSON.stringify(config));
    const server = await startServer(t, {
      handlers: { "index.ts": `export default () => new Response("default")` },
      files: {
        ...FILES,
        "edgicorn.config.json": JSON.stringify({ sites: SITES, healthPath: "/up" }),
      },
      workers: 1,
    });
    const answers: [host: string, path: string, status: number, text: string | null][] = [
      ["one.example", "/", 200, "one"],
      ["ONE.Example.:8080", "/", 200, "one"],
      ["www.one.example", "/one.txt", 200, "one"],
      ["any.one.example", "/one.txt", 200, "one"],
      ["a.b.one.example", "/one.txt", 404, null],
      ["a.b.one.example", "/", 200, "default"],
      ["two.example", "/", 200, "two"],
      ["x.two.example:99", "/", 200, "two"],
      ["x.two.example", "/one.txt", 404, null],
      ["[::1]:80", "/", 200, "two"],
      ["shared.example", "/", 200, "two"],
      // Handlers are those of the default site only.
      ["empty.example", "/", 404, null],
      ["unknown.example", "/", 200, "default"],
      ["127.0.0.1", "/", 200, "default"],
    ];
    for (const [host, path, status, text] of answers) {
      const [found, body] = await ask(server, host, path);
      assert.deepEqual([found, text === null ? null : body], [status, text], `${host} ${path}`);
    }

    // One wrong site refuses the whole reload.
    mkdirSync(join(server.dir, "three"));
    writeFileSync(join(server.dir, "three/index.html"), "three");
    const next = {
      ...SITES,
      "one.example": { public: "three" },
      "three.example": { public: "three" },
    };
    write({ sites: { ...next, "four.example": { bodyLimit: "much" } }, unknownHost: "refuse" });
    const refused = await askServer(["reload"], server.dir);
    assert.equal(refused.code, 78);
    assert.match(refused.stderr, /Cannot use sites\["four\.example"\]\.bodyLimit in edgicorn/);
    assert.deepEqual(await ask(server, "one.example"), [200, "one"]);
    assert.deepEqual(await ask(server, "three.example"), [200, "default"]);

    write({ sites: next, unknownHost: "refuse", healthPath: "/up" });
    const reloaded = await askServer(["reload"], server.dir);
    assert.equal(reloaded.code, 0, reloaded.stderr);
    assert.deepEqual(await ask(server, "one.example"), [200, "three"]);
    assert.deepEqual(await ask(server, "three.example"), [200, "three"]);
    assert.deepEqual(await ask(server, "shared.example"), [200, "two"]);
    assert.equal((await ask(server, "www.one.example"))[0], 421);
    assert.equal((await ask(server, "unknown.example"))[0], 421);
    // A balancer asks by address.
    assert.deepEqual(await ask(server, "127.0.0.1", "/up"), [200, "ok\n"]);
    await server.untilAccess({ host: "unknown.example", status: 421 });
  });
});
