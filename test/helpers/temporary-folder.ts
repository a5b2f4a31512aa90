import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** Whose end ends what is opened for it: a test, or a run of a soak. Callbacks run in the order in which they were set. */
export interface Owner {
  after(callback: () => void | Promise<void>): void;
}

/** Creates a folder that goes with its owner, after the servers of the owner have stopped (`endBeforeFolders`). */
export function temporaryFolder(t: Owner): string {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "edgicorn-")));
  t.after(async () => {
    await endWriters(t);
    await remove(dir);
  });
  return dir;
}

/** The functions that end the servers of each owner, in the order of their starts. */
const WRITERS = new WeakMap<Owner, (() => Promise<void>)[]>();

/**
 * Ends a server with its owner, before any folder of the owner is removed: a server may write into the folder of another one,
 * or into one that is older than the server. The server that was started last ends first.
 */
export function endBeforeFolders(t: Owner, end: () => Promise<void>): void {
  const ends = WRITERS.get(t) ?? [];
  ends.push(end);
  WRITERS.set(t, ends);
  t.after(() => endWriters(t));
}

/** Ends all servers of an owner, also after one that fails. */
async function endWriters(t: Owner): Promise<void> {
  const ends = WRITERS.get(t) ?? [];
  const errors: unknown[] = [];
  for (let end = ends.pop(); end !== undefined; end = ends.pop()) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- A server may need those that were started before it.
      await end();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors, errors.map(String).join("\n"));
}

/** A process that ends may still write into a folder, and nothing tells that it has ended: so often the folder is removed again. */
const MOST_ATTEMPTS = 500;

async function remove(dir: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      rmSync(dir, { recursive: true, force: true });
      return;
    } catch (error) {
      const isFilled = error instanceof Error && "code" in error && error.code === "ENOTEMPTY";
      if (!isFilled || attempt === MOST_ATTEMPTS) throw error;
    }
    // oxlint-disable-next-line no-await-in-loop -- Between two attempts.
    await delay(10);
  }
}
