import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { showTop, type TopCommand } from "../../../runtime/cli/top/top.ts";
import { lookOnce } from "../../../runtime/live/live-feed.ts";
import { createFacts } from "../../metrics/sample-facts.ts";
import { temporaryFolder } from "../../helpers/temporary-folder.ts";

const SNAPSHOT = { ...lookOnce(createFacts(), 1_000, 1_700_000_000_000), windowMs: 1_000 };

/** A server that answers `/live` in its own way. Returns its state folder. */
async function serve(t: TestContext, answer: (response: ServerResponse) => void): Promise<string> {
  const stateDir = temporaryFolder(t);
  const server = createServer((_, response) => answer(response));
  server.listen(join(stateDir, "control.sock"));
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return stateDir;
}

function createCommand(stateDir: string, more: Partial<TopCommand> = {}) {
  const written: string[] = [];
  const command: TopCommand = {
    flags: { stateDir },
    json: false,
    own: {},
    env: {},
    cwd: stateDir,
    signal: new AbortController().signal,
    output: {
      isTTY: false,
      write: (text: string) => written.push(text) > 0,
    },
    input: process.stdin,
    color: false,
    ...more,
  };
  return { command, written };
}

describe("showTop()", { timeout: 60_000 }, () => {
  it("tells that the server has ended, with the exit code of no server", async (t) => {
    const line = `${JSON.stringify(SNAPSHOT)}\n`;
    for (const end of ["end", "destroy"] as const) {
      const stateDir = await serve(t, (response) => {
        response.write(line.slice(0, 100));
        response.write(line.slice(100), () => response[end]());
      });
      const { command, written } = createCommand(stateDir, { own: { interval: ["1s"] } });
      const { exitCode, problem } = await showTop(command);
      assert.equal(exitCode, 69, end);
      assert.match(problem, /^the server has ended/);
      assert.match(written.join(""), /^edgicorn 0\.1\.0, production/);
    }
  });

  it("waits for a snapshot with rates, and prints one", async (t) => {
    const stateDir = await serve(t, (response) => {
      response.write(`${JSON.stringify({ ...SNAPSHOT, windowMs: 0 })}\n`);
      response.write(`${JSON.stringify(SNAPSHOT)}\n`);
    });
    const { command, written } = createCommand(stateDir, { json: true });
    assert.deepEqual(await showTop(command), { exitCode: 0, problem: "" });
    assert.deepEqual(JSON.parse(written.join("")), JSON.parse(JSON.stringify(SNAPSHOT)));
  });

  it("refuses servers that are not there, refuse, or run another version", async (t) => {
    const none = createCommand(temporaryFolder(t));
    assert.equal((await showTop(none.command)).exitCode, 69);
    const full = await serve(t, (response) => {
      response.writeHead(503);
      response.end('{"error":{"code":null,"message":"Cannot show the server live: too many"}}');
    });
    const refused = await showTop(createCommand(full).command);
    assert.deepEqual(
      [refused.exitCode, refused.problem],
      [69, "Cannot show the server live: too many"],
    );
    const old = await serve(t, (response) => response.writeHead(404).end("{}"));
    assert.match((await showTop(createCommand(old).command)).problem, /another version/);
    const other = await serve(t, (response) => response.write('{"format":1}\n'));
    await assert.rejects(showTop(createCommand(other).command), { code: "ERR_PROTOCOL" });
  });

  it("ends in order when its signal aborts", async (t) => {
    const ending = new AbortController();
    const stateDir = await serve(t, (response) => {
      response.write(`${JSON.stringify(SNAPSHOT)}\n`);
    });
    const { command, written } = createCommand(stateDir, {
      signal: ending.signal,
      own: { interval: ["1s"] },
    });
    const write = command.output.write.bind(command.output);
    command.output.write = (text: string) => {
      ending.abort();
      return write(text);
    };
    assert.deepEqual(await showTop(command), { exitCode: 0, problem: "" });
    assert.equal(written.length, 1);
  });
});
