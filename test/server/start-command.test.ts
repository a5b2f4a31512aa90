import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  findWhereabouts,
  type StartFacts,
  toStartCommand,
  type Whereabouts,
} from "../../runtime/server/start-command.ts";

const FACTS: StartFacts = {
  execPath: "/usr/bin/node",
  execArgv: ["--max-old-space-size=200"],
  argv: ["/usr/bin/node", "/srv/releases/1/dist/main.js", "start", "--http", "80"],
  cwd: "/srv/releases/1",
  pwd: undefined,
};

/** `/srv/current` leads to `/srv/releases/1`; nothing else exists. */
function resolveLinks(path: string): string {
  if (path === "/srv/current") return "/srv/releases/1";
  if (path === "/srv/releases/1") return path;
  throw new Error("ENOENT");
}

describe("toStartCommand()", () => {
  const cases: [name: string, facts: Partial<StartFacts>, cwd: string, script: string][] = [
    ["where and how it was started", {}, "/srv/releases/1", "/srv/releases/1/dist/main.js"],
    ["below a link", { pwd: "/srv/current" }, "/srv/current", "/srv/current/dist/main.js"],
    ["a stale PWD", { pwd: "/srv/gone" }, "/srv/releases/1", "/srv/releases/1/dist/main.js"],
    [
      "a program from elsewhere",
      { pwd: "/srv/current", argv: ["node", "/opt/edgicorn/main.js", "start", "--http", "80"] },
      "/srv/current",
      "/opt/edgicorn/main.js",
    ],
    [
      "a folder whose name only begins the same",
      { pwd: "/srv/current", argv: ["node", "/srv/releases/10/main.js", "start", "--http", "80"] },
      "/srv/current",
      "/srv/releases/10/main.js",
    ],
  ];
  for (const [name, facts, cwd, script] of cases) {
    it(`repeats it: ${name}`, () => {
      const command = [
        "/usr/bin/node",
        "--max-old-space-size=200",
        script,
        "start",
        "--http",
        "80",
      ];
      assert.deepEqual(toStartCommand({ ...FACTS, ...facts }, resolveLinks), {
        cwd,
        startedIn: FACTS.cwd,
        command,
      });
    });
  }
});

function where(folder: string, target: string | null): Whereabouts {
  return findWhereabouts({ cwd: folder, startedIn: "/srv/r1" }, () => {
    if (target === null) throw new Error("ENOENT");
    return target;
  });
}

describe("findWhereabouts()", () => {
  it("follows a link, and no folder that was named without one", () => {
    assert.deepEqual(where("/srv/current", "/srv/r1"), { kind: "same" });
    assert.deepEqual(where("/srv/current", "/srv/r2"), { kind: "moved", target: "/srv/r2" });
    assert.deepEqual(where("/srv/current", null), { kind: "gone" });
    assert.deepEqual(where("/srv/r1", null), { kind: "same" });
  });
});
