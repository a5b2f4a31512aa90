import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Whose end ends what is opened for it: a test, or a run of a soak. Callbacks run in the order in which they were set. */
export interface Owner {
  after(callback: () => void | Promise<void>): void;
}

/** Creates a folder that goes with its owner. */
export function temporaryFolder(t: Owner): string {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "edgicorn-")));
  // A process that ends may still write into it.
  t.after(() => rmSync(dir, { recursive: true, force: true, maxRetries: 10 }));
  return dir;
}
