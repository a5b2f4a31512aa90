import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

import { buildGeneration } from "../../runtime/generation/build.ts";
import type { BuildOptions } from "../../runtime/generation/build.ts";
import type { Manifest } from "../../runtime/generation/manifest.ts";

/** A project whose handlers are built. */
export interface Project {
  dir: string;
  stateDir: string;
  write: (files: Record<string, string>) => Promise<void>;
  /** Makes links: from a path to what the link says. */
  link: (links: Record<string, string>) => Promise<void>;
  build: (options?: Partial<BuildOptions>) => Promise<Manifest>;
  /** Imports compiled modules in this order in a fresh Node, without any loader, and returns what they export. */
  load: (manifest: Manifest, sources: string[]) => Promise<Record<string, unknown>[]>;
}

/** Creates a project in a folder that goes with the test. */
export async function createProject(
  t: TestContext,
  files: Record<string, string>,
): Promise<Project> {
  const dir = await realpath(await mkdtemp(join(tmpdir(), "edgicorn-build-")));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const stateDir = join(dir, ".edgicorn");
  const project: Project = {
    dir,
    stateDir,
    async write(more) {
      for (const [path, text] of Object.entries(more)) {
        await mkdir(dirname(join(dir, path)), { recursive: true });
        await writeFile(join(dir, path), text);
      }
    },
    async link(links) {
      for (const [path, target] of Object.entries(links)) {
        await mkdir(dirname(join(dir, path)), { recursive: true });
        await symlink(target, join(dir, path));
      }
    },
    build: (options) =>
      buildGeneration({
        handlersDir: join(dir, "handlers"),
        stateDir,
        mode: "development",
        ...options,
      }),
    async load(manifest, sources) {
      const generation = join(stateDir, "generations", manifest.id);
      const urls = sources.map((source) => {
        const module = manifest.modules.find((candidate) => candidate.source === source);
        assert.ok(module, `${source} is in the manifest`);
        return pathToFileURL(join(generation, module.compiled)).href;
      });
      const script = `const all = [];
        for (const url of ${JSON.stringify(urls)}) all.push({ ...(await import(url)) });
        console.log(JSON.stringify(all));`;
      // A file, since threads and processes inherit the options of Node.
      const file = join(dir, "load.mjs");
      await writeFile(file, script);
      const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd: tmpdir() });
      return JSON.parse(stdout) as Record<string, unknown>[];
    },
  };
  await project.write({ "package.json": '{"name":"project","type":"module"}', ...files });
  await mkdir(join(dir, "handlers"), { recursive: true });
  return project;
}

/** Files of a package that is installed below a root. */
export function packageFiles(
  name: string,
  version: string,
  code: string,
  root = "",
): Record<string, string> {
  const folder = `${root}node_modules/${name}`;
  return {
    [`${folder}/package.json`]: JSON.stringify({
      name,
      version,
      type: "module",
      exports: "./index.js",
    }),
    [`${folder}/index.js`]: code,
  };
}
