import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { watchSources } from "../../runtime/cli/watch.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

/** Watches a project; each reload is an event, and finds the sources that the test says. */
async function watchProject(
  t: TestContext,
  found: (reload: number, dir: string) => readonly string[],
) {
  const dir = temporaryFolder(t);
  const write = (path: string): void => writeFileSync(join(dir, path), String(Math.random()));
  mkdirSync(join(dir, "handlers"));
  for (const path of ["handlers/a.ts", "first.ts", "second.ts"]) write(path);
  const events = new EventEmitter();
  const errors: unknown[] = [];
  let reloads = 0;
  let sources = found(0, dir);
  const watcher = watchSources({
    dirs: [join(dir, "handlers")],
    sources: () => sources,
    reload: async () => {
      await Promise.resolve();
      sources = found(++reloads, dir);
      // Once the watcher has gone on.
      setImmediate(() => events.emit("reloaded"));
    },
    onError: (error) => errors.push(error),
  });
  t.after(() => watcher.close());
  await once(watcher, "ready");
  const reload = (path: string): Promise<unknown> => {
    const reloaded = once(events, "reloaded");
    write(path);
    return reloaded;
  };
  return { dir, watcher, errors, reload };
}

describe("watchSources()", { timeout: 20_000 }, () => {
  it("reloads for what is in the folders and what is imported from elsewhere", async (t) => {
    const { reload } = await watchProject(t, (_, dir) => [join(dir, "first.ts")]);
    await reload("handlers/a.ts");
    await reload("handlers/new.ts");
    await reload("first.ts");
  });

  it("watches what a reload has found, not only what was there before it", async (t) => {
    const { dir, watcher, reload } = await watchProject(t, (reloads, folder) =>
      reloads === 0 ? [] : [join(folder, "second.ts")],
    );
    await reload("handlers/a.ts");
    while (watcher.getWatched()[dir]?.includes("second.ts") !== true)
      await new Promise(setImmediate);
    await reload("second.ts");
  });

  it("tells what cannot be watched and goes on", async (t) => {
    const { watcher, errors, reload } = await watchProject(t, () => []);
    const error = Object.assign(new Error("no watches left"), { code: "ENOSPC" });
    watcher.emit("error", error);
    assert.deepEqual(errors, [error]);
    await reload("handlers/a.ts");
  });
});
