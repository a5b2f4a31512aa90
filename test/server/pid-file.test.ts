import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { refuseLivePidFile, removePidFile, writePidFile } from "../../runtime/server/pid-file.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const SERVER = ["/usr/bin/node", "/srv/node_modules/edgicorn/dist/main.js", "start"];

describe("refuseLivePidFile()", () => {
  const cases: [
    name: string,
    content: string | null,
    command: string[] | null,
    refused: boolean,
  ][] = [
    ["no file", null, SERVER, false],
    ["a server that lives", "4711\n", SERVER, true],
    ["one that was started by its name", "4711", ["node", "/usr/bin/edgicorn", "start"], true],
    ["a process that is gone", "4711\n", null, false],
    ["a number that another program has by now", "4711\n", ["/usr/bin/vim", "main.js"], false],
    ["our own number, from a container before this one", `${process.pid}\n`, SERVER, false],
    ["the server that we take over from", "42\n", SERVER, false],
    ["no number", "-1\n", SERVER, false],
    ["an empty file", "", SERVER, false],
  ];
  for (const [name, content, command, refused] of cases) {
    it(`${refused ? "refuses" : "accepts"} ${name}`, (t) => {
      const path = join(temporaryFolder(t), "edgicorn.pid");
      if (content !== null) writeFileSync(path, content);
      const table = { commandOf: () => command };
      const check = (): void => refuseLivePidFile(path, { successorOf: 42, table });
      if (refused) assert.throws(check, { code: "ERR_LISTEN", message: /process 4711 owns it/ });
      else assert.doesNotThrow(check);
    });
  }
});

describe("writePidFile()", () => {
  it("replaces what is there, and leaves nothing else", (t) => {
    const dir = temporaryFolder(t);
    const path = join(dir, "edgicorn.pid");
    writeFileSync(path, "a much longer text than a number\n");
    writePidFile(path);
    assert.equal(readFileSync(path, "utf8"), `${process.pid}\n`);
    assert.deepEqual(readdirSync(dir), ["edgicorn.pid"]);
  });

  it("says why it cannot be written", (t) => {
    const path = join(temporaryFolder(t), "missing/edgicorn.pid");
    assert.throws(() => writePidFile(path), { code: "ERR_LISTEN", message: /ENOENT/ });
  });
});

describe("removePidFile()", () => {
  it("removes our own, and no other", (t) => {
    const path = join(temporaryFolder(t), "edgicorn.pid");
    writePidFile(path);
    removePidFile(path);
    assert.equal(existsSync(path), false);
    removePidFile(path);
    writeFileSync(path, "1\n");
    removePidFile(path);
    assert.equal(existsSync(path), true);
  });
});
