import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it, type TestContext } from "node:test";
import { promisify } from "node:util";
import { TEMPLATE_NAMES, TEMPLATES } from "../../runtime/cli/init/templates.ts";
import { eventually } from "../helpers/eventually.ts";
import { npmEnvironment, packPackage, type PackedPackage } from "../helpers/packed-package.ts";
import { send } from "../helpers/send.ts";
import { TestServer } from "../helpers/start-server.ts";
import { type Owner, temporaryFolder } from "../helpers/temporary-folder.ts";

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, "../..");
/** As scripts in package.json find it; `npx` does so too, and takes a second to start. */
const EDGICORN = "node_modules/.bin/edgicorn";
const PORTS = ["--http", "0", "--https", "off", "--workers", "1", "--log-format", "json"];

describe("a project of one's own", { timeout: 900_000 }, () => {
  let packed: PackedPackage;
  // A hook that is set within a hook ends with it.
  const cleanups: (() => void | Promise<void>)[] = [];
  before(async () => {
    packed = await packPackage({ after: (callback) => cleanups.push(callback) });
  });
  after(async () => {
    for (const callback of cleanups) await callback();
  });

  it("goes from an empty folder to a first edit and to production", async (t) => {
    const dir = temporaryFolder(t);
    const startedMs = performance.now();
    const tell = (what: string): void =>
      t.diagnostic(`${what} after ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
    const options = { cwd: dir, env: npmEnvironment() };
    const quiet = ["--prefer-offline", "--no-audit", "--no-fund"];
    await run("npm", ["install", ...quiet, packed.tarball], options);
    tell("installed");
    const { stdout: help } = await run("npx", ["edgicorn", "--help"], options);
    assert.match(help, /^ {2}init /m);
    const { stdout: report } = await run(EDGICORN, ["init"], options);
    assert.match(report, /^created {2}handlers\/index\.ts$/m);
    assert.match(report, /Next:\n {2}npm install\n {2}npm run dev\n$/);
    tell("project made");

    const dev = await startInstalled(t, dir, "dev");
    assert.equal(await (await dev.fetch("/?name=Ada")).text(), "Hello, Ada!\n");
    const file = join(dir, "handlers/index.ts");
    writeFileSync(file, readFileSync(file, "utf8").replace("Hello, ", "Good morning, "));
    await eventually(
      t,
      async () => (await (await dev.fetch("/")).text()) === "Good morning, world!\n",
    );
    tell("first edit live");
    await dev.stop();

    const { stdout: checked } = await run(EDGICORN, ["check", ...PORTS], options);
    assert.match(checked, /^ok: 1 route/);
    const server = await startInstalled(t, dir, "start");
    assert.equal(await (await server.fetch("/")).text(), "Good morning, world!\n");
    // `stop` has little patience, and would end a server that is late at once.
    server.kill("SIGTERM");
    assert.deepEqual(await server.exit, { code: 0, signal: null });
    tell("checked, started and stopped");
  });

  for (const template of TEMPLATE_NAMES) {
    it(`made with --template ${template} loads, and its types are right`, async (t) => {
      const dir = linkedProject(t, packed);
      const entry = join(dir, "node_modules/edgicorn/dist/main.js");
      const node = (...args: string[]) => run(process.execPath, args, { cwd: dir });
      await node(entry, "init", "--template", template);
      const again = await node(entry, "init", "--template", template);
      assert.match(again.stdout, /^(?:kept .*\n)+\nNext:/, "nothing is done twice");
      const [checked, types] = await Promise.all([
        node(entry, "check", ...PORTS),
        node(join(ROOT, "node_modules/typescript/bin/tsc"), "--noEmit").catch(
          (error: { stdout: string }) => error,
        ),
      ]);
      assert.match(checked.stdout, /^ok: /);
      assert.equal(checked.stderr, "");
      assert.equal(types.stdout, "");
      const answers = ANSWERS[template];
      if (answers.length === 0) return;
      const server = await startInstalled(t, dir, "start");
      for (const [path, expected, body] of answers) {
        const sent = body === undefined ? {} : { method: "POST", headers: JSON_FIELDS, body };
        const received = await send(server.http + path, sent);
        assert.match(`${received.status} ${received.text}`, expected, path);
      }
    });
  }

  it("gets the versions that this project is tested with", () => {
    const own = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
      devDependencies: Record<string, string>;
    };
    for (const { dependencies, devDependencies } of Object.values(TEMPLATES)) {
      for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
        assert.equal(version, `^${own.devDependencies[name]}`, name);
      }
    }
  });
});

const JSON_FIELDS = { "content-type": "application/json" };

/** Requests of each template: path, pattern of status and body, and what is posted. None for `hello`: see above. */
const ANSWERS: Readonly<
  Record<(typeof TEMPLATE_NAMES)[number], readonly (readonly [string, RegExp, string?])[]>
> = {
  hello: [],
  api: [
    ["/api/users?q=ada", /^200 \[\{"id":"1","name":"Ada Lovelace"\}\]$/],
    ["/api/users/9", /^404 \{"error":"No user has the id 9"\}$/],
    ["/api/users", /^201 \{"id":"[-0-9a-f]{36}","name":"Margaret"\}$/, '{"name":"Margaret"}'],
    ["/api/users", /^400 /, "[]"],
  ],
  hono: [
    ["/", /^200 Hono on Edgicorn\n$/],
    ["/hello/Zo%C3%AB", /^200 \{"hello":"Zoë"\}$/],
    ["/sum", /^200 \{"sum":3\.5\}$/, "[0.5, 1, 2]"],
    ["/sum", /^400 expected a JSON array of numbers$/, '{"a":1}'],
    ["/nowhere", /^404 \{"error":"nothing at \/nowhere"\}$/],
  ],
  react: [
    ["/?name=%3Cscript%3E", /^200 <!DOCTYPE html>.*<h1>Hello, &lt;script&gt;!<\/h1>/],
    ["/", /^200 (?!.*(?:<script|Loading)).*<li>Grace Hopper<\/li>/],
    ["/style.css", /^200 :root/],
  ],
  static: [
    ["/", /^200 <!doctype html>[^]*Hello, world!/],
    ["/nowhere", /^404 <!doctype html>[^]*Nothing here/],
  ],
};

/** A folder in which the package is installed, with the dependencies of this project. */
function linkedProject(t: Owner, { dir: packedDir }: PackedPackage): string {
  const dir = temporaryFolder(t);
  mkdirSync(join(dir, "node_modules"));
  cpSync(packedDir, join(dir, "node_modules/edgicorn"), { recursive: true });
  for (const name of LINKED) {
    symlinkSync(join(ROOT, "node_modules", name), join(dir, "node_modules", name));
  }
  const description = { name: "project", dependencies: { edgicorn: "*" } };
  writeFileSync(join(dir, "package.json"), JSON.stringify(description));
  return dir;
}

/** What the program loads besides its own files, and what templates need. */
const LINKED = [
  ...Object.keys(
    (
      JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
        dependencies: Record<string, string>;
      }
    ).dependencies,
  ).filter((name) => !name.startsWith("@peculiar/")),
  // The newer uWebSockets.js, the only one for Node 24.
  "@btc-vision",
  "@peculiar",
  "@types",
  "hono",
  "react",
  "react-dom",
];

/** Starts the installed program, as its script in package.json does, and waits until it listens. */
async function startInstalled(
  t: TestContext,
  dir: string,
  command: "dev" | "start",
): Promise<TestServer> {
  const child = spawn(join(dir, "node_modules/edgicorn/dist/main.js"), [command, ...PORTS], {
    cwd: dir,
    env: npmEnvironment(),
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const folders = { dir, handlersDir: join(dir, "handlers"), publicDir: join(dir, "public") };
  const server = new TestServer(child, folders);
  t.after(() => server.stop());
  await server.until(({ msg }) => msg === "listening");
  return server;
}
