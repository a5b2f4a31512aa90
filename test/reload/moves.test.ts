import assert from "node:assert/strict";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import pino from "pino";
import { type Config, loadConfig } from "../../runtime/config.ts";
import { Primary } from "../../runtime/primary.ts";
import { eventually } from "../helpers/eventually.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const log = pino({ level: "silent" });

const INDEX = `export default () => new Response("one");`;

async function createProject(
  t: TestContext,
  handlers: Readonly<Record<string, string>> = { "index.ts": INDEX },
): Promise<Config> {
  const cwd = temporaryFolder(t);
  for (const folder of ["handlers", "public"]) mkdirSync(join(cwd, folder));
  for (const [name, source] of Object.entries(handlers)) {
    writeFileSync(join(cwd, "handlers", name), source);
  }
  const flags = { http: "0", https: "off", workers: "1", accessLog: "off", logLevel: "silent" };
  return loadConfig({ mode: "production", flags, env: {}, cwd });
}

/** A primary in this process, whose config stays as it is. */
async function startPrimary(t: TestContext, config: Config): Promise<Primary> {
  const site = { config, certificates: null };
  const primary = await Primary.start({
    ...site,
    log,
    createAccessLog: () => assert.fail("nothing was logged"),
    loadSite: () => Promise.resolve(site),
    maxSpoolFiles: 1,
  });
  t.after(() => primary.destroy());
  return primary;
}

async function textOf(primary: Primary, path = "/"): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${primary.listeners[0]?.port}${path}`);
  return `${response.status} ${await response.text()}`;
}

/** Ids of the generations on disk, oldest first, and whose folder is leased. */
function storedIn({ stateDir }: Config): { ids: string[]; leased: string[] } {
  const dir = join(stateDir, "generations");
  const ids = readdirSync(dir).toSorted();
  const isLeased = (id: string): boolean =>
    readdirSync(join(dir, id)).includes(`lease-${process.pid}`);
  return { ids, leased: ids.filter(isLeased) };
}

describe("Primary.rollback()", { timeout: 60_000 }, () => {
  it("goes back to what served before, or to any that is on disk", async (t) => {
    const config = await createProject(t, {
      "index.ts": INDEX,
      "kept.ts": `export const config = { pool: "kept" }; export default () => new Response("kept");`,
    });
    const primary = await startPrimary(t, config);
    const first = primary.generation.manifest.id;
    const [kept] = primary.generation.pools.get("kept")?.workers ?? [];
    await assert.rejects(primary.rollback(), { code: "ERR_HANDLER_LOAD" });
    writeFileSync(join(config.handlersDir, "index.ts"), INDEX.replace("one", "two"));
    const second = (await primary.reload()).generation;
    assert.equal(await textOf(primary), "200 two");

    const back = await primary.rollback();
    assert.deepEqual([back.generation, back.previous], [first, second]);
    assert.deepEqual(
      back.pools.map(({ name, change, reasons }) => [name, change, reasons]),
      [
        ["default", "replaced", ["changed: index.ts"]],
        ["kept", "kept", []],
      ],
    );
    assert.equal(await textOf(primary), "200 one");
    assert.deepEqual(primary.generation.pools.get("kept")?.workers[0], kept);

    await assert.rejects(primary.rollback(first), /it serves already/);
    await assert.rejects(
      primary.rollback("../../etc"),
      new RegExp(`found none, expected one of ${second}, ${first}`),
    );
    assert.equal((await primary.rollback(second)).generation, second);
    assert.equal(await textOf(primary), "200 two");
  });

  it("that fails changes nothing, and neither does a reload, which leaves nothing on disk", async (t) => {
    const config = await createProject(t);
    const primary = await startPrimary(t, config);
    const first = primary.generation.manifest.id;
    writeFileSync(join(config.handlersDir, "index.ts"), "throw new Error('broken');");
    await assert.rejects(primary.reload(), {
      code: "ERR_HANDLER_LOAD",
      message: /broken/,
    });
    assert.deepEqual(storedIn(config), { ids: [first], leased: [first] });

    writeFileSync(join(config.handlersDir, "index.ts"), INDEX.replace("one", "two"));
    const second = (await primary.reload()).generation;
    const dir = join(config.stateDir, "generations", first);
    for (const file of readdirSync(join(dir, "modules"))) {
      if (file.endsWith(".js"))
        writeFileSync(join(dir, "modules", file), "throw new Error('damaged');");
    }
    await assert.rejects(primary.rollback(), { code: "ERR_HANDLER_LOAD", message: /damaged/ });
    assert.equal(await textOf(primary), "200 two");
    assert.deepEqual(storedIn(config), { ids: [first, second], leased: [second] });
    writeFileSync(join(dir, "manifest.json"), "{");
    await assert.rejects(primary.rollback(), /found none, expected one of/);
    await primary.destroy();
    assert.deepEqual(storedIn(config).leased, []);
  });
});

describe("Primary.generations()", { timeout: 60_000 }, () => {
  it("lists those on disk with what they have answered, and keeps as many as it shall", async (t) => {
    const config = {
      ...(await createProject(t, {
        "index.ts": INDEX,
        "fails.ts": "export default () => new Response(null, { status: 500 });",
      })),
      keepGenerations: 2,
    };
    const primary = await startPrimary(t, config);
    const first = primary.generation.manifest.id;
    for (const path of ["/", "/fails", "/", "/nothing"]) await textOf(primary, path);
    const { generation: second } = await primary.reload();
    await textOf(primary);
    const [now, before] = await primary.generations();
    assert.ok(now !== undefined && before !== undefined);
    assert.deepEqual(
      { ...now, createdAt: "" },
      { id: second, createdAt: "", routes: 2, state: "serving", requests: 1, errors: 0 },
    );
    assert.deepEqual([before.id, before.requests, before.errors], [first, 3, 1]);
    const { generation: third } = await primary.reload();
    assert.deepEqual(
      (await primary.generations()).map(({ id }) => id).filter((id) => id !== first),
      [third, second],
    );
    await primary.rollback(second);
    const again = (await primary.generations()).find(({ id }) => id === second);
    assert.deepEqual([again?.state, again?.requests], ["serving", 1]);
  });
});

describe("Primary.resize()", { timeout: 60_000 }, () => {
  it("adds and takes workers of the default pool, down to one", async (t) => {
    const primary = await startPrimary(t, await createProject(t));
    const ready = (): number =>
      primary.generation.pools.get("default")?.workers.filter(({ state }) => state === "ready")
        .length ?? 0;
    assert.equal(primary.resize(1), 2);
    await eventually(t, () => ready() === 2);
    assert.equal(primary.resize(-1), 1);
    assert.equal(primary.resize(-1), 1);
    await eventually(t, () => ready() === 1);
    assert.equal(await textOf(primary), "200 one");
  });
});
