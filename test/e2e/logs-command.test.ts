import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, renameSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { runCommand, startCommand } from "../helpers/run-command.ts";
import { startServer } from "../helpers/start-server.ts";

const HANDLERS = {
  "index.ts": `export default () => new Response("hi")`,
  "fails/[id].ts": `export default () => new Response("no", { status: 503 })`,
};

describe("edgicorn logs", { timeout: 180_000 }, () => {
  it("shows the lines of filters, also after the file was rotated", async (t) => {
    const files = { "edgicorn.config.json": JSON.stringify({ accessLog: "access.log" }) };
    const server = await startServer(t, { handlers: HANDLERS, files });
    const path = join(server.dir, "access.log");
    const { child } = startCommand(
      ["logs", "-f", "--json", "--status", "5xx", "--route", "/fails/:id"],
      server.dir,
    );
    t.after(() => child.kill());
    assert.ok(child.stdout !== null);
    const lines = createInterface(child.stdout);
    const waiting: ((line: string) => void)[] = [];
    const arrived: string[] = [];
    lines.on("line", (line) => {
      const next = waiting.shift();
      if (next === undefined) arrived.push(line);
      else next(line);
    });
    let before: unknown = null;
    // The path of the next line. The command may show a line twice that is written while it begins.
    const nextPath = async (): Promise<unknown> => {
      for (;;) {
        const line =
          arrived.shift() ?? (await new Promise<string>((resolve) => waiting.push(resolve)));
        // The shape of an access line.
        const { path: found } = JSON.parse(line) as { path: unknown };
        if (found === before) continue;
        before = found;
        return found;
      }
    };
    await server.fetch("/");
    await server.fetch("/fails/1");
    assert.equal(await nextPath(), "/fails/1");
    renameSync(path, `${path}.1`);
    // The server still has the renamed file.
    await server.fetch("/fails/2");
    assert.equal(await nextPath(), "/fails/2");
    server.kill("SIGUSR1");
    await eventually(t, async () => {
      await server.fetch("/");
      return existsSync(path);
    });
    await server.fetch("/fails/3");
    assert.equal(await nextPath(), "/fails/3");
    const closed = once(child, "close");
    child.kill("SIGINT");
    assert.deepEqual(await closed, [0, null]);

    const last = await runCommand(["logs", "-n", "1"], server.dir);
    assert.match(last.stdout, /^[\d:.]+ 503 GET \/fails\/3 .*\n$/);
    assert.deepEqual([last.stderr, last.code], ["", 0]);
    const wrong = await runCommand(["logs", "--route", "/fail/:id"], server.dir);
    assert.match(
      wrong.stderr,
      /^Cannot use --route: found "\/fail\/:id", .*did you mean "\/fails\/:id"/,
    );
    assert.equal(wrong.code, 78);
  });
});
