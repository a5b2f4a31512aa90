import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { readMachine } from "../../runtime/engine/uws/uws-packages.ts";
import { installProgram } from "../helpers/installed-program.ts";
import { cleanEnvironment } from "../helpers/start-server.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { describeMistakes, type Mistake } from "./plant.ts";

/** Without a binary of uWebSockets.js the server works, and says why it is slower. */
const INSTEAD = /the Node engine serves instead of uWebSockets\.js\./;

const FILES = { "handlers/index.js": `export default () => new Response("hello");` };

/** Whether the newer package loads here. */
const IS_NEW = Number(readMachine().glibc?.split(".")[1] ?? 99) >= 38;

const OLD_SYSTEM: readonly Mistake[] = [
  {
    name: "the newer package on an older system",
    command: "check",
    files: FILES,
    env: { EDGICORN_UWS: "@btc-vision/uwebsockets.js" },
    code: 70,
    says: [
      /@btc-vision\/uwebsockets\.js [\d.]+ needs glibc 2\.38/,
      /the setting uws left at "auto"/,
    ],
    neverSays: [/uws-pack/],
  },
];

describeMistakes("platform", [
  {
    name: "a package that does not exist, in the environment",
    command: "check",
    files: FILES,
    env: { EDGICORN_UWS: "official" },
    code: 78,
    says: [/EDGICORN_UWS: found "official"/, /expected "auto", "uWebSockets\.js", "@btc-vision/],
  },
  {
    name: "a package with its version, in the config file",
    command: "check",
    files: { ...FILES, "edgicorn.config.ts": `export default { uws: "uws-pack@20" };` },
    // Of the environment of the tests.
    env: { EDGICORN_UWS: "" },
    code: 78,
    says: [/uws in edgicorn\.config\.ts: found "uws-pack@20"/, /"@btc-vision.*" or "uws-pack"/],
  },
  {
    name: "the flag without a package",
    command: "check",
    files: FILES,
    flags: ["--uws"],
    code: 78,
    says: [/Cannot use --uws: found no value, expected --uws VALUE/],
  },
  {
    name: "the official package, which the project does not have",
    command: "check",
    files: FILES,
    env: { EDGICORN_UWS: "uWebSockets.js" },
    code: 70,
    says: [/uWebSockets\.js is not installed/, /instead of uws-pack, by "overrides" in package\.j/],
  },
  {
    name: "Node without native code",
    command: "check",
    files: FILES,
    env: { NODE_OPTIONS: "--no-addons" },
    code: 0,
    says: [INSTEAD, /loading addons is disabled/, /expected Node without --no-addons/],
  },
  {
    name: "Node without native code, for an engine that needs it",
    command: "check",
    files: FILES,
    flags: ["--engine", "uws"],
    env: { NODE_OPTIONS: "--no-addons" },
    code: 70,
    says: [/loading addons is disabled/, /expected Node without --no-addons/],
    neverSays: [INSTEAD],
  },
  {
    name: "another package at a reload",
    command: "start",
    files: { ...FILES, "edgicorn.config.json": `{ "workers": 1 }` },
    env: { EDGICORN_UWS: "" },
    async meanwhile(server) {
      writeFileSync(join(server.dir, "edgicorn.config.json"), `{ "uws": "uWebSockets.js" }`);
      server.kill("SIGHUP");
      await server.until(({ msg }) => msg?.includes("Cannot change uws") === true);
    },
    says: [
      /Cannot change uws while the server runs: found "uWebSockets\.js", expected "auto" until/,
    ],
  },
  ...(IS_NEW ? [] : OLD_SYSTEM),
]);

describe("planted mistakes: installed binaries", { timeout: 300_000 }, () => {
  const ALIAS = "node_modules/uWebSockets.js";
  const NEWER = "node_modules/@btc-vision";

  for (const { name, damage, code, says } of [
    {
      name: "no package of uWebSockets.js at all",
      damage: (dir: string): void => {
        rmSync(join(dir, ALIAS), { recursive: true });
        rmSync(join(dir, NEWER), { recursive: true });
      },
      code: 0,
      says: [
        INSTEAD,
        /@btc-vision\/uwebsockets\.js is not installed/,
        /uws-pack is not installed/,
        /"npm ci" without --omit=optional/,
      ],
    },
    {
      name: "binaries that were cut off while they were copied",
      damage: (dir: string): void => {
        for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
          if (/^uws_.*\.node$/.test(entry.name))
            truncateSync(join(entry.parentPath, entry.name), 9);
        }
      },
      code: 0,
      says: [INSTEAD, / [\d.]+ cannot be loaded: .*uws_.*file too short/, /"npm ci"/],
    },
    {
      name: "an official package without a binary for this Node",
      damage: (dir: string): void => {
        rmSync(join(dir, ALIAS), { recursive: true });
        rmSync(join(dir, NEWER), { recursive: true });
        plantOfficial(dir);
      },
      code: 0,
      says: [
        INSTEAD,
        /uWebSockets\.js 20\.66\.0 has no binary for Node ABI \d+ on \w+-\w+/,
        /@btc-vision\/uwebsockets\.js is not installed/,
      ],
    },
  ] as const) {
    it(name, (t) => {
      const dir = temporaryFolder(t);
      const entry = installProgram(dir);
      damage(dir);
      const { status, output } = check(entry, dir);
      for (const pattern of says) assert.match(output, pattern);
      assert.equal(status, code, output);
    });
  }

  it("an official package that does not load, beside one that does", { skip: !IS_NEW }, (t) => {
    const dir = temporaryFolder(t);
    const entry = installProgram(dir);
    rmSync(join(dir, ALIAS), { recursive: true });
    plantOfficial(dir);
    const { status, output } = check(entry, dir);
    assert.match(output, /cannot use the package uWebSockets\.js 20\.66\.0, which has no binary/);
    assert.match(output, /using @btc-vision/);
    assert.equal(status, 0, output);
  });
});

/** As the official repository has it, but without binaries. */
function plantOfficial(dir: string): void {
  const target = join(dir, "node_modules/uWebSockets.js");
  const file =
    "'./uws_' + process.platform + '_' + process.arch + '_' + process.versions.modules + '.node'";
  writeFiles(target, {
    "package.json": `{ "name": "uWebSockets.js", "version": "20.66.0", "main": "uws.js" }`,
    "uws.js": `try { module.exports = require(${file}); }
      catch (error) { throw new Error("This version supports only some.\\n\\n" + error.toString()); }`,
  });
}

function writeFiles(dir: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(dir, { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
}

function check(entry: string, dir: string): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [entry, "check", "--http", "0", "--https", "off"],
    { cwd: dir, env: cleanEnvironment(), encoding: "utf8" },
  );
  return { status, output: stdout + stderr };
}
