import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { isRuntimeCode, isUserCode, parseFrames } from "../../runtime/lib/stack-frames.ts";

/** Name and place in the short form of the cases below. */
function read(line: string): unknown {
  const [frame] = parseFrames(`Error: x\n${line}`);
  if (frame === undefined) return undefined;
  const { name, position } = frame;
  return position === null
    ? [name]
    : [name, `${position.file}|${position.line}|${position.column}`];
}

describe("parseFrames()", () => {
  const cases: [line: string, expected: unknown][] = [
    ["    at spin (/app/lib/spin.ts:3:5)", ["spin", "/app/lib/spin.ts|3|5"]],
    ["    at spin (file:///app/lib/spin.js?v=1:3:5)", ["spin", "/app/lib/spin.js|3|5"]],
    ["    at /app/handlers/x.ts:1:20", [null, "/app/handlers/x.ts|1|20"]],
    ["    at async /app/handlers/x.ts:1:20", [null, "/app/handlers/x.ts|1|20"]],
    ["    at async Object.fetch (/app/x.ts:1:2)", ["async Object.fetch", "/app/x.ts|1|2"]],
    ["    at Timeout.x [as _onTimeout] (/a.ts:1:2)", ["Timeout.x [as _onTimeout]", "/a.ts|1|2"]],
    ["    at new Thing (/app/x.ts:1:2)", ["new Thing", "/app/x.ts|1|2"]],
    // Route groups.
    ["    at fetch (/app/handlers/(g)/x.ts:6:3)", ["fetch", "/app/handlers/(g)/x.ts|6|3"]],
    ["    at /app/handlers/(g)/x.ts:6:3", [null, "/app/handlers/(g)/x.ts|6|3"]],
    ["    at fetch (/my app (2)/x.ts:6:3)", ["fetch", "/my app (2)/x.ts|6|3"]],
    ["    at RegExp.test (<anonymous>)", ["RegExp.test"]],
    ["    at async Promise.all (index 0)", ["async Promise.all"]],
    ["    at eval (eval at x (/app/x.ts:1:2), <anonymous>:1:1)", ["eval"]],
    ["    at listOnTimeout (node:internal/timers:581:17)", undefined],
    ["    at node:internal/main/run_main_module:33:47", undefined],
    ["  not a frame at all", undefined],
    ["at the start of a message (/app/x.ts:1:2)", undefined],
  ];
  for (const [line, expected] of cases) {
    it(`reads "${line.trim()}"`, () => assert.deepEqual(read(line), expected));
  }

  it("keeps the order", () => {
    const stack = "Error: x\n    at a (/a.ts:1:1)\n    at b (/b.ts:2:2)\n    at /c.ts:3:3";
    assert.deepEqual(
      parseFrames(stack).map(({ position }) => position?.file),
      ["/a.ts", "/b.ts", "/c.ts"],
    );
  });
});

describe("isUserCode()", () => {
  it("tells the user's files from packages and from the runtime", () => {
    const root = join(import.meta.dirname, "../..");
    const cases = [
      ["/app/handlers/x.ts", true, false],
      ["/app/node_modules/x/index.js", false, false],
      [join(root, "runtime/worker/main.ts"), false, true],
      [join(root, "dist/main.js"), false, true],
      [join(root, "handlers/index.ts"), true, false],
    ] as const;
    for (const [file, isUsers, isOurs] of cases) {
      assert.deepEqual([isUserCode(file), isRuntimeCode(file)], [isUsers, isOurs], file);
    }
  });
});
