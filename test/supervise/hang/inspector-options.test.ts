import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  asksForDebugger,
  configuresInspector,
  type NodeOptions,
} from "../../../runtime/supervise/hang/inspector-options.ts";

const args = (...execArgv: string[]): NodeOptions => ({ execArgv, nodeOptions: undefined });
const env = (nodeOptions: string): NodeOptions => ({ execArgv: [], nodeOptions });

const cases: [options: NodeOptions, configures: boolean, debugs: boolean][] = [
  [args(), false, false],
  [args("--import", "tsx", "--max-old-space-size=512"), false, false],
  [args("--enable-source-maps"), false, false],
  [args("--inspect"), true, true],
  [args("--inspect=0.0.0.0:9229"), true, true],
  [args("--inspect-brk"), true, true],
  [args("--inspect-brk=9229"), true, true],
  [args("--inspect-wait"), true, true],
  [args("--inspect-port=9300"), true, false],
  [args("--inspect-publish-uid=stderr"), true, false],
  [args("--disable-sigusr1"), true, false],
  [env(""), false, false],
  [env("--import tsx --inspect"), true, true],
  [env('--require "./a b.js" --inspect-brk'), true, true],
  [env("--require ./x--inspect.js"), false, false],
];

describe("options of the inspector", () => {
  for (const [options, configures, debugs] of cases) {
    it(`are found in ${JSON.stringify(options)}`, () => {
      assert.equal(configuresInspector(options), configures);
      assert.equal(asksForDebugger(options), debugs);
    });
  }
});
