import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { readMachine } from "../../runtime/engine/uws/uws-packages.ts";
import { fetchNode } from "../../scripts/nodes/fetch-node.ts";
import { builtProgram } from "../helpers/built-program.ts";
import { installProgram } from "../helpers/installed-program.ts";
import { send } from "../helpers/send.ts";
import { cleanEnvironment, TestServer } from "../helpers/start-server.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const ENTRY = builtProgram();
const PORTS = ["--http", "0", "--https", "off", "--workers", "1", "--log-format", "json"];

/** The other Node is a download of 45 MB on first use: a machine without the registry skips the tests. */
function nodeOf(t: TestContext, major: string): string | null {
  try {
    return fetchNode(major);
  } catch (error) {
    t.skip(`cannot fetch Node ${major}: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}

function project(t: TestContext): string {
  const dir = temporaryFolder(t);
  mkdirSync(join(dir, "handlers"));
  writeFileSync(join(dir, "handlers/index.js"), `export default () => new Response("hello");`);
  writeFileSync(join(dir, "package.json"), `{ "type": "module" }`);
  return dir;
}

describe("another Node", { timeout: 180_000 }, () => {
  it("starts, answers and says which library it has, with Node 22", async (t) => {
    const node = nodeOf(t, "22");
    if (node === null) return;
    const dir = project(t);
    const child = spawn(node, [ENTRY, "start", ...PORTS], {
      cwd: dir,
      env: cleanEnvironment(),
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    const server = new TestServer(child, { dir, handlersDir: "", publicDir: "" });
    t.after(() => server.stop());
    await server.until(({ msg }) => msg === "listening");
    const { status, body } = await send(`${server.http}/`);
    assert.deepEqual([status, body.toString()], [200, "hello"]);
    const options = { cwd: dir, env: cleanEnvironment(), encoding: "utf8" } as const;
    const told = execFileSync(node, [ENTRY, "status"], options);
    assert.match(told, /^uWebSockets\.js from (?:uws-pack|@btc-vision\/uwebsockets\.js) \d/m);
    server.kill("SIGTERM");
    assert.deepEqual(await server.exit, { code: 0, signal: null });
  });

  const { platform, glibc } = readMachine();
  const isOld = platform === "linux" && Number(glibc?.split(".")[1]) < 38;
  it(
    "serves with the engine of Node and says why, with Node 24 and an old glibc",
    { skip: !isOld },
    (t) => {
      const node = nodeOf(t, "24");
      if (node === null) return;
      const { status, stderr } = check(node, ENTRY, project(t));
      assert.equal(status, 0, stderr);
      assert.match(stderr, /the Node engine serves instead of uWebSockets\.js/);
      assert.match(stderr, /found Node v24\.\d+\.\d+ \(ABI 137\) on linux-\w+ with glibc 2\.\d+/);
      assert.match(
        stderr,
        /expected Node 22, or glibc 2\.38 or later \(Debian 13, Ubuntu 24\.04\)/,
      );
      assert.match(stderr, /@btc-vision\/uwebsockets\.js \d[\d.]+ needs glibc 2\.38\n/);
      assert.match(stderr, /uws-pack \d[\d.]+ has no binary for Node ABI 137 on linux-/);
      assert.match(stderr, /docs\/dependencies\.md/);
    },
  );

  it('names "edgicorn prune", which removed the binary that another Node needs', (t) => {
    // Of two Nodes whose binaries need the same glibc.
    const other = nodeOf(t, process.version.startsWith("v22.") ? "20" : "22");
    if (other === null) return;
    const dir = temporaryFolder(t);
    const entry = installProgram(dir);
    assert.equal(check(other, entry, dir).status, 0);
    const pruned = spawnSync(process.execPath, [entry, "prune"], { cwd: dir, encoding: "utf8" });
    assert.match(pruned.stdout, /^removed \d+ binaries \(\d+ MB\) that are not for \w+-\w+ with/);
    const { status, stderr } = check(other, entry, dir);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /for which "edgicorn prune" ran; "npm ci" brings the other binaries back/);
    const again = spawnSync(process.execPath, [entry, "prune"], { cwd: dir, encoding: "utf8" });
    assert.match(again.stdout, /^nothing to remove/);
    assert.equal(check(process.execPath, entry, dir).status, 0);
  });

  it("prunes no packages that other projects share", (t) => {
    const { status, stderr } = spawnSync(process.execPath, [ENTRY, "prune"], {
      cwd: project(t),
      encoding: "utf8",
    });
    assert.equal(status, 78, stderr);
    assert.match(stderr, /^Cannot prune: found a package at \/.*, expected it in node_modules of/);
  });
});

function check(
  node: string,
  entry: string,
  dir: string,
): { status: number | null; stderr: string } {
  const options = { cwd: dir, env: cleanEnvironment(), encoding: "utf8" } as const;
  return spawnSync(node, [entry, "check", "--http", "0", "--https", "off"], options);
}
