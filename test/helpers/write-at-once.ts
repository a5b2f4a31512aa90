import { randomUUID } from "node:crypto";
import { renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Writes a file in one step: a server that watches its folder never reads an empty file, or a part of one. */
export function writeAtOnce(path: string, content: string | Uint8Array): void {
  // Beside the folders of tests, which no server watches, and on their file system.
  const draft = join(tmpdir(), `edgicorn-draft-${randomUUID()}`);
  writeFileSync(draft, content);
  renameSync(draft, path);
}
