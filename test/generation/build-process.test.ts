import assert from "node:assert/strict";
import { watch } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { TestContext } from "node:test";
import { pathToFileURL } from "node:url";

import { BuildError } from "../../runtime/generation/build-error.ts";
import { buildInChild } from "../../runtime/generation/build-process.ts";
import type { BuildProcessOptions } from "../../runtime/generation/build-process.ts";
import { loadManifest } from "../../runtime/generation/manifest.ts";

async function createProject(
  t: TestContext,
  files: Record<string, string>,
): Promise<{ dir: string; options: BuildProcessOptions }> {
  const dir = await mkdtemp(join(tmpdir(), "edgicorn-child-"));
  t.after(() => rm(dir, { recursive: true, force: true, maxRetries: 10 }));
  const handlersDir = join(dir, "handlers");
  await mkdir(handlersDir);
  for (const [path, text] of Object.entries(files)) await writeFile(join(dir, path), text);
  return { dir, options: { handlersDir, stateDir: join(dir, ".edgicorn"), mode: "production" } };
}

/** A stand-in for the entry, which misbehaves; it writes its process id down first. */
async function createEntry(
  dir: string,
  code: string,
): Promise<{ entry: URL; pid: () => Promise<number> }> {
  const path = join(dir, "entry.mjs");
  const pidFile = join(dir, "pid");
  const start = `import { writeFileSync } from "node:fs"; writeFileSync(${JSON.stringify(pidFile)}, String(process.pid));`;
  await writeFile(path, `${start}\n${code}`);
  return { entry: pathToFileURL(path), pid: async () => Number(await readFile(pidFile, "utf8")) };
}

function assertGone(pid: number): void {
  assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
}

describe("buildInChild()", { timeout: 180_000 }, () => {
  it("builds", async (t) => {
    const { options } = await createProject(t, { "handlers/a.ts": "export default 1;" });
    const manifest = await buildInChild(options);
    assert.equal(manifest.routes[0]?.pattern, "/a");
    assert.deepEqual(
      await loadManifest(join(options.stateDir, "generations", manifest.id)),
      manifest,
    );
  });

  it("fails as the build does", async (t) => {
    const { options } = await createProject(t, { "handlers/a.ts": "const = 1;" });
    await assert.rejects(buildInChild(options), {
      name: "RuntimeError",
      code: "ERR_HANDLER_LOAD",
      message: /handlers\/a\.ts:1:7: Expected identifier/,
    });
  });

  it("tells what it has read when it fails: whoever mends it may do so there", async (t) => {
    const { dir, options } = await createProject(t, {
      "handlers/a.ts": 'import "../outside.ts";',
      "outside.ts": "const = 1;",
    });
    const real = await realpath(dir);
    await assert.rejects(buildInChild(options), (error) => {
      assert.ok(error instanceof BuildError);
      assert.deepEqual(error.inputs.toSorted(), [
        join(real, "handlers/a.ts"),
        join(real, "outside.ts"),
      ]);
      return true;
    });
  });

  it("says how the process died and what it said last", async (t) => {
    const { dir, options } = await createProject(t, {});
    const { entry } = await createEntry(dir, `throw new Error("no more memory");`);
    await assert.rejects(buildInChild({ ...options, entry }), {
      code: "ERR_HANDLER_LOAD",
      message:
        /^Cannot build handlers: the build process ended with exit code 1\n[^]*no more memory/,
    });
  });

  it("says which signal killed the process", async (t) => {
    const { dir, options } = await createProject(t, {});
    const { entry } = await createEntry(
      dir,
      `process.kill(process.pid, "SIGKILL"); setInterval(() => {}, 1000);`,
    );
    await assert.rejects(buildInChild({ ...options, entry }), {
      code: "ERR_HANDLER_LOAD",
      message: "Cannot build handlers: the build process ended by SIGKILL",
    });
  });

  it("ends a process that takes too long, even one that does not listen", async (t) => {
    const { dir, options } = await createProject(t, {});
    const { entry, pid } = await createEntry(
      dir,
      `process.on("SIGTERM", () => {}); setInterval(() => {}, 1000);`,
    );
    let child: number | null = null;
    // A busy machine may take longer than the first ones to start the process at all.
    for (let timeoutMs = 1_000; child === null; timeoutMs *= 4) {
      await assert.rejects(buildInChild({ ...options, entry, timeoutMs }), {
        code: "ERR_HANDLER_LOAD",
        message: `Cannot build handlers: it takes longer than ${timeoutMs} ms`,
      });
      child = await pid().catch(() => null);
    }
    assertGone(child);
  });

  it("leaves nothing behind when it is aborted in the middle", async (t) => {
    let hasBuilt = true;
    // A process that is late sees the folder of the build only when the build is over.
    for (let length = 300; hasBuilt; length *= 2) {
      const many = Array.from({ length }, (_, index) => [`handlers/a${index}.ts`, ""] as const);
      const { options } = await createProject(t, Object.fromEntries(many));
      const generations = join(options.stateDir, "generations");
      await mkdir(generations, { recursive: true });
      const stop = new AbortController();
      const watcher = watch(generations, () => stop.abort(new Error("enough")));
      t.after(() => watcher.close());
      const building = buildInChild({ ...options, signal: stop.signal });
      hasBuilt = await building.then(
        () => true,
        (error: unknown) => {
          assert.ok(error instanceof Error && error.message === "enough", String(error));
          return false;
        },
      );
      if (!hasBuilt) assert.deepEqual(await readdir(generations), []);
    }
  });

  it("starts nothing for a signal that is aborted already", async (t) => {
    const { dir, options } = await createProject(t, {});
    const { entry, pid } = await createEntry(dir, "");
    const signal = AbortSignal.abort(new Error("enough"));
    await assert.rejects(buildInChild({ ...options, entry, signal }), { message: "enough" });
    await assert.rejects(pid(), { code: "ENOENT" });
  });
});
