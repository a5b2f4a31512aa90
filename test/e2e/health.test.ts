import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { startServer } from "../helpers/start-server.ts";

/** A handler of a pool of its own, which cannot be loaded while a file is there. */
function handlerOf(pool: string): string {
  return `import { existsSync } from "node:fs";
    if (existsSync("broken-${pool}")) throw new Error("broken");
    export const config = { pool: "${pool}" };
    export default () => new Response(String(process.pid));`;
}

describe("livePath, readyPath, shutdownDelay", { timeout: 180_000 }, () => {
  it("tell a load balancer which server to use, and when to stop", async (t) => {
    const server = await startServer(t, {
      handlers: {
        "index.ts": 'export default () => new Response("hello");',
        "needed.ts": handlerOf("needed"),
        "extra.ts": handlerOf("extra"),
      },
      files: {
        "edgicorn.config.json": JSON.stringify({
          healthPath: "/healthz",
          livePath: "/livez",
          readyPath: "/readyz",
          shutdownDelay: "1h",
          pools: { extra: { optional: true } },
        }),
      },
    });
    const ask = async (...paths: string[]): Promise<number[]> => {
      const answers = await Promise.all(paths.map((path) => server.fetch(path)));
      await Promise.all(answers.map((answer) => answer.text()));
      return answers.map(({ status }) => status);
    };
    const breakPool = async (pool: string): Promise<void> => {
      writeFileSync(`${server.dir}/broken-${pool}`, "");
      process.kill(Number(await (await server.fetch(`/${pool}`)).text()), "SIGKILL");
      await eventually(t, async () => (await ask(`/${pool}`))[0] === 503);
    };
    assert.deepEqual(await ask("/livez", "/readyz", "/healthz"), [200, 200, 200]);

    await breakPool("extra");
    assert.deepEqual(await ask("/livez", "/readyz"), [200, 200]);
    await breakPool("needed");
    assert.deepEqual(await ask("/livez", "/readyz", "/healthz", "/"), [200, 503, 200, 200]);
    rmSync(`${server.dir}/broken-needed`);
    await eventually(t, async () => (await ask("/readyz"))[0] === 200);

    server.kill("SIGTERM");
    await server.until(({ msg }) => msg?.startsWith("stopping") === true);
    // New connections are answered as before. Only the health checks fail.
    assert.deepEqual(await ask("/livez", "/readyz", "/healthz", "/"), [200, 503, 503, 200]);
    // A second signal ends the delay. The first 100 ms after the first one, it counts as the same.
    let hasExited = false;
    void server.exit.then(() => (hasExited = true));
    await eventually(t, () => {
      if (!hasExited) server.kill("SIGTERM");
      return hasExited;
    });
    assert.deepEqual(await server.exit, { code: 143, signal: null });

    const probes = server.accessLines.filter(({ path }) => path === "/livez" || path === "/readyz");
    assert.ok(probes.length > 0 && probes.every(({ status }) => status === 503));
  });
});
