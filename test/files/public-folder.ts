import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";

import { FileIndex, type FileIndexOptions } from "../../runtime/files/file-index.ts";
import type { StaticEntry, StaticFile } from "../../runtime/files/static-file.ts";

/** A public folder in a folder of its own, which is removed after the test. */
export class PublicFolder {
  /** Lies in `outside`. */
  readonly root: string;
  readonly outside: string;
  readonly warnings: string[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #t: TestContext;

  constructor(t: TestContext) {
    this.#t = t;
    this.outside = realpathSync(mkdtempSync(join(tmpdir(), "edgicorn-static-")));
    this.root = join(this.outside, "public");
    t.after(() => rmSync(this.outside, { recursive: true, force: true }));
  }

  async write(files: Record<string, string | Buffer>): Promise<void> {
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(this.root, path)), { recursive: true });
      await writeFile(join(this.root, path), content);
    }
  }

  async open({
    root = this.root,
    ...options
  }: Partial<FileIndexOptions> & { root?: string } = {}): Promise<FileIndex> {
    const index = await FileIndex.open(root, {
      log: { warn: (_fields, message) => void this.warnings.push(message) },
      onChange: () => {
        for (const check of this.#waiting) check();
      },
      ...options,
    });
    this.#t.after(() => index.destroy());
    return index;
  }

  /** Settles when the index has noticed enough for the condition to hold. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      // The index keeps no process alive, so the one who waits has to.
      const alive = setInterval(() => {}, 60_000);
      this.#t.after(() => clearInterval(alive));
      const check = (): void => {
        if (!condition()) return;
        clearInterval(alive);
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
      check();
    });
  }
}

/** Far in the past: the index looks at the disk for no hit but the first. */
const LONG_AGO = 1;

export function lookup(index: FileIndex, path: string): StaticEntry | undefined {
  return index.lookup(path, LONG_AGO);
}

export function lookupFile(index: FileIndex, path: string): StaticFile {
  const entry = lookup(index, path);
  if (entry?.kind !== "file") throw new Error(`Cannot find "${path}": found ${entry?.kind}`);
  return entry;
}

/** The content of a file as a client would get it, read in pieces of `pieceBytes`. */
export async function readBody(
  index: FileIndex,
  file: StaticFile,
  { start = 0, end = file.sizeBytes, pieceBytes = 7 } = {},
): Promise<string | null> {
  const body = await index.openBody(file, start, end - start);
  if (body === null) return null;
  try {
    const into = Buffer.alloc(pieceBytes);
    let content = "";
    for (let offset = 0; ;) {
      const length = await body.read(into, offset);
      if (length === 0) return content;
      content += into.toString("latin1", 0, length);
      offset += length;
    }
  } finally {
    body.close();
  }
}
