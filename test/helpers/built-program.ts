import { execFileSync } from "node:child_process";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");

/** `npm test` sets it after its build, so that no test file looks again. */
const BUILT_VARIABLE = "EDGICORN_TEST_BUILT";

let isChecked = false;

/** Returns the absolute path of the compiled program. The first call of a process builds it when a source is newer. */
export function builtProgram(): string {
  if (!isChecked) {
    isChecked = true;
    if (process.env[BUILT_VARIABLE] === undefined) {
      execFileSync(process.execPath, [join(ROOT, "scripts/build.mjs"), "--if-stale"], {
        stdio: ["ignore", "ignore", "inherit"],
      });
    }
    // A server would report it as an unknown setting.
    delete process.env[BUILT_VARIABLE];
  }
  return join(ROOT, "dist/main.js");
}
