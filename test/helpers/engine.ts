import { engineOf, type EngineName } from "../../runtime/config/engine-setting.ts";
import { SETTINGS } from "../../runtime/config/settings.ts";

/** The engine that servers are tested with: `EDGICORN_TEST_ENGINE`, which `npm run test:node-engine` sets, or the usual one. */
export function testedEngine(): EngineName {
  const parsed = SETTINGS.engine.type.parse(process.env["EDGICORN_TEST_ENGINE"] ?? "auto");
  if (parsed === null) throw new TypeError("EDGICORN_TEST_ENGINE names no engine");
  return engineOf(parsed.value, "http");
}

/** Whether servers are tested with the Node engine, unless a test says otherwise. */
export function isNodeEngine(): boolean {
  return testedEngine() === "node";
}
