import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import pino from "pino";
import type { ControlInvocation } from "../../runtime/cli/arguments.ts";
import { type Outcome, runControl } from "../../runtime/cli/control.ts";
import { ControlServer } from "../../runtime/control/control-server.ts";
import type {
  GenerationInfo,
  Operations,
  ReloadReport,
  Status,
} from "../../runtime/control/operations.ts";
import { type ErrorCode, RuntimeError } from "../../runtime/lib/errors.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const REPORT: ReloadReport = {
  generation: "b",
  previous: "a",
  durationMs: 12,
  pools: [],
  settings: ["workers"],
  warnings: [],
  moved: null,
};

const GENERATION: GenerationInfo = {
  id: "a",
  createdAt: "2026-01-01T00:00:00.000Z",
  mode: "production",
  routes: 3,
  state: "stored",
  requests: 0,
  errors: 0,
  code: "0123abcd",
  rollback: false,
};

async function serve(t: TestContext, offer: Partial<Operations>): Promise<string> {
  const cwd = temporaryFolder(t);
  const control = await ControlServer.open({
    stateDir: join(cwd, ".edgicorn"),
    log: pino({ level: "silent" }),
    greet: () => ({
      pid: process.pid,
      version: "1.2.3",
      folder: "/x",
      startedIn: "/x",
      handlersDir: "/x/handlers",
      addresses: ["http://localhost:80"],
    }),
    operations: Promise.resolve(offer),
    stop: () => {},
  });
  t.after(() => control.close());
  control.publish();
  return cwd;
}

function run(
  cwd: string,
  command: ControlInvocation["command"],
  options: Partial<ControlInvocation> = {},
): Promise<Outcome> {
  return runControl({ command, flags: {}, json: false, id: null, ...options }, { env: {}, cwd });
}

describe("runControl()", { timeout: 180_000 }, () => {
  it("prints what was done, for a person or a program", async (t) => {
    const ids: (string | undefined)[] = [];
    const cwd = await serve(t, {
      reload: async () => REPORT,
      generations: async () => [GENERATION],
      rollback: async (id) => {
        ids.push(id);
        return REPORT;
      },
    });
    const text = "serving b, before it a (12 ms)\nsettings that changed: workers\n";
    assert.deepEqual(await run(cwd, "reload"), { text, problem: "", exitCode: 0 });
    assert.deepEqual(JSON.parse((await run(cwd, "reload", { json: true })).text), REPORT);
    assert.match((await run(cwd, "generations")).text, /^id .*\na {3}2026-01-01/);
    assert.equal((await run(cwd, "rollback")).text, text);
    assert.equal((await run(cwd, "rollback", { id: "a" })).text, text);
    assert.deepEqual(ids, [undefined, "a"]);
  });

  it("says in a line that a server of another version answers otherwise", async (t) => {
    // Older ones say less.
    const older = { pid: 1, version: "0.0.1" };
    const cwd = await serve(t, { status: () => older as Status });
    const { text, problem, exitCode } = await run(cwd, "status");
    assert.match(
      problem,
      /^Cannot read the server's answer to status: it runs another version, [^\n]*$/,
    );
    assert.deepEqual([text, exitCode], ["", 70]);
    assert.deepEqual(JSON.parse((await run(cwd, "status", { json: true })).text), older);
  });

  const refusals: [code: ErrorCode, exitCode: number][] = [
    ["ERR_HANDLER_LOAD", 70],
    ["ERR_BOOT_LOOP", 70],
    ["ERR_CONFIG", 78],
    ["ERR_DRAINING", 69],
  ];
  for (const [code, exitCode] of refusals) {
    it(`exits with ${exitCode} when the server refuses with ${code}`, async (t) => {
      const message = "handlers/index.ts:3: no";
      const reload = (): Promise<never> => Promise.reject(new RuntimeError(code, message));
      const cwd = await serve(t, { reload });
      assert.deepEqual(await run(cwd, "reload"), { text: "", problem: message, exitCode });
      const asked = await run(cwd, "reload", { json: true });
      assert.deepEqual(JSON.parse(asked.text), { error: { code, message } });
      assert.deepEqual([asked.problem, asked.exitCode], [message, exitCode]);
    });
  }

  it("exits with 69 and one line when no server runs", async (t) => {
    const { text, problem, exitCode } = await run(temporaryFolder(t), "stop");
    assert.deepEqual([text, exitCode], ["", 69]);
    assert.match(problem, /^No server runs with this state folder, or it is stopping: [^\n]*$/);
    const asked = await run(temporaryFolder(t), "stop", { json: true });
    assert.match(asked.text, /"code": null,\n {4}"message": "No server runs /);
  });

  it("says so when the server does not offer it", async (t) => {
    const { problem, exitCode } = await run(await serve(t, {}), "rollback");
    assert.deepEqual([problem, exitCode], ["Cannot rollback: this server does not offer it", 70]);
  });

  it("finds the server by its config file", async (t) => {
    const cwd = await serve(t, { reload: async () => REPORT });
    const elsewhere = temporaryFolder(t);
    const config = join(elsewhere, "deploy.json");
    writeFileSync(
      config,
      JSON.stringify({ stateDir: join(cwd, ".edgicorn"), handlers: "missing" }),
    );
    assert.equal((await run(elsewhere, "reload", { flags: { config } })).exitCode, 0);
  });
});
