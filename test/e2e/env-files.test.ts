import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { runCommand } from "../helpers/run-command.ts";
import { startServer } from "../helpers/start-server.ts";

const HANDLER = `const names = ["A", "B", "C", "NODE_ENV"];
export default (request, { env }) => Response.json(names.map((name) => [env[name], process.env[name]]));`;

describe("files of environment variables", { timeout: 180_000 }, () => {
  it("reach handlers, the config file and settings; a reload reads them again", async (t) => {
    const server = await startServer(t, {
      handlers: { "index.js": HANDLER },
      workers: 1,
      files: {
        ".env": "A=hunter2\nB=env\nC=env\nEDGICORN_STATE_DIR=state\nHEALTH=/up\n",
        ".env.local": "B=local\n",
        "edgicorn.config.ts": "export default { healthPath: process.env.HEALTH };",
      },
      env: { C: "real", NODE_ENV: "" },
    });
    const answer = async (): Promise<unknown> => (await server.fetch("/")).json();
    assert.deepEqual(await answer(), [
      ["hunter2", "hunter2"],
      ["local", "local"],
      ["real", "real"],
      ["", ""],
    ]);
    assert.equal((await server.fetch("/up")).status, 200, "the config file sees them");
    const listening = server.logs.find(({ msg }) => msg === "listening");
    assert.deepEqual(listening?.["envFiles"], [".env", ".env.local"]);

    writeFileSync(join(server.dir, ".env"), "A=new\nEDGICORN_STATE_DIR=state\nHEALTH=/alive\n");
    rmSync(join(server.dir, ".env.local"));
    // The command finds the server by a setting of the file.
    const reload = await runCommand(["reload", "--json"], server.dir);
    assert.equal(reload.code, 0, reload.stderr);
    const { settings } = JSON.parse(reload.stdout) as { settings: string[] };
    assert.deepEqual(settings.toSorted(), ["envFile", "healthPath"]);
    assert.deepEqual(await answer(), [
      ["new", "new"],
      [null, null],
      ["real", "real"],
      ["", ""],
    ]);
    assert.equal((await server.fetch("/alive")).status, 200);

    writeFileSync(
      join(server.dir, ".env"),
      "A=late\nEDGICORN_STATE_DIR=state\nEDGICORN_BODY_LIMIT=x\n",
    );
    const refused = await runCommand(["reload"], server.dir);
    assert.equal(refused.code, 78);
    assert.match(refused.stderr, /EDGICORN_BODY_LIMIT: found "x"/);
    const before = [...server.workers.values()].at(-1) ?? assert.fail("no worker");
    process.kill(before, "SIGKILL");
    await server.until(({ msg, workerPid }) => msg === "worker ready" && workerPid !== before);
    await eventually(t, async () => (await server.fetch("/")).status === 200);
    // A refused reload changes nothing, for workers that start later either.
    assert.deepEqual(await answer(), [
      ["new", "new"],
      [null, null],
      ["real", "real"],
      ["", ""],
    ]);
    assert.ok(!server.stderr.includes("hunter2"), "values stay out of the log");
  });

  it("are watched by dev, also before they exist", async (t) => {
    const server = await startServer(t, {
      command: "dev",
      handlers: { "index.js": HANDLER },
      workers: 1,
      files: { ".env": "A=1\n" },
    });
    const first = async (): Promise<unknown> =>
      ((await (await server.fetch("/")).json()) as unknown[][])[0]?.[0];
    assert.equal(await first(), "1");
    writeFileSync(join(server.dir, ".env.local"), "A=2\n");
    await eventually(t, async () => (await first()) === "2");
  });
});
