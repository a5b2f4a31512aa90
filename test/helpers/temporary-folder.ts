import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

/** Creates a folder that goes with the test. */
export function temporaryFolder(t: TestContext): string {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "edgicorn-")));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}
