import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import {
  appendFile,
  chmod,
  cp,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  unlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";

import {
  describeConditions,
  loadRecord,
  RECORD_FILE,
} from "../../runtime/generation/build-record.ts";
import { toGenerationDir } from "../../runtime/generation/generation-store.ts";
import type { Manifest } from "../../runtime/generation/manifest.ts";
import { findLastBuild, loadUnchanged } from "../../runtime/generation/reuse.ts";
import { createProject, packageFiles, type Project } from "./project.ts";

const CONDITIONS = "the same program and settings";

/** Builds before one is recorded: the first may follow the files of the test too closely. */
const MOST_BUILDS = 50;

/** A project with one of each way to depend on a file. */
const FILES: Record<string, string> = {
  "tsconfig.json": JSON.stringify({
    extends: "./config/base.json",
    compilerOptions: { paths: { "@/*": ["./first/*", "./second/*"] } },
  }),
  "config/base.json": JSON.stringify({ compilerOptions: { jsxImportSource: "one" } }),
  "package-lock.json": '{"lockfileVersion":3}',
  "handlers/index.ts": `import { value } from "../src/value";
    import { alias } from "@/alias";
    import { folder } from "../src/folder";
    import { linked } from "../src/link/linked.ts";
    import text from "../src/text.txt";
    import dependency from "dependency";
    import compiled from "compiled";
    export default () => [value, alias, folder, linked, text, dependency, compiled];`,
  "handlers/users/[id].get.ts": "export default () => 'user';",
  "handlers/_midleware.ts": "export const unused = 1;",
  "handlers/thread.ts": `import { Worker } from "node:worker_threads";
    export default () => [
      new Worker(new URL("../src/thread.ts", import.meta.url)),
      new Worker(new URL("../src/missing-thread.ts", import.meta.url)),
    ];`,
  "src/value.js": 'import { deep } from "./deep.ts"; export const value = deep;',
  "src/deep.ts": "export const deep: number = 1;",
  "src/folder/index.ts": "export const folder = 1;",
  "src/text.txt": "text",
  "src/thread.ts": "export {};",
  "second/alias.ts": "export const alias = 1;",
  "real/linked.ts": "export const linked = 1;",
  "other/linked.ts": "export const linked = 1;",
  ...packageFiles("dependency", "1.0.0", "export default 1;"),
  "node_modules/compiled/package.json": '{"name":"compiled","exports":"./index.ts"}',
  "node_modules/compiled/index.ts": "export default 1;",
};

interface Built {
  project: Project;
  manifest: Manifest;
  /** The generation's folder. */
  dir: string;
  /** Whether a start now would use the build. */
  isReused: () => Promise<boolean>;
}

async function build(t: TestContext, files: Record<string, string> = FILES): Promise<Built> {
  const project = await createProject(t, files);
  if (files === FILES) await project.link({ "src/link": "../middle", middle: "real" });
  for (let count = 1; ; count++) {
    const manifest = await project.build({ conditions: CONDITIONS });
    const dir = toGenerationDir(project.stateDir, manifest.id);
    if (loadRecord(dir) !== null) {
      return { project, manifest, dir, isReused: () => isReused(project) };
    }
    assert.ok(count < MOST_BUILDS, "no build was recorded");
  }
}

async function isReused({ stateDir }: Project): Promise<boolean> {
  const last = findLastBuild(stateDir, CONDITIONS);
  return last !== null && (await loadUnchanged(stateDir, last)) !== null;
}

/** Writes other text of the same size, and puts the times back. */
async function editUnnoticed(path: string, from: string, to: string): Promise<void> {
  assert.equal(from.length, to.length);
  const { atime, mtime } = await stat(path);
  const text = await readFile(path, "utf8");
  assert.ok(text.includes(from), `${path} has ${from}`);
  await writeFile(path, text.replace(from, to));
  await utimes(path, atime, mtime);
}

describe("loadUnchanged()", { concurrency: 2 }, () => {
  const changes: [
    title: string,
    change: (built: Built & { at: (path: string) => string }) => Promise<unknown>,
  ][] = [
    ["a new handler", ({ at }) => writeFile(at("handlers/new.ts"), "export default 1;")],
    [
      "a new handler in a new folder",
      async ({ at }) => {
        await mkdir(at("handlers/new"));
        await writeFile(at("handlers/new/index.ts"), "export default 1;");
      },
    ],
    ["a handler less", ({ at }) => rm(at("handlers/users/[id].get.ts"))],
    [
      "a handler with another name",
      ({ at }) => rename(at("handlers/users/[id].get.ts"), at("handlers/users/[id].put.ts")),
    ],
    [
      "a handler whose name differs in case",
      ({ at }) => rename(at("handlers/users/[id].get.ts"), at("handlers/users/[ID].get.ts")),
    ],
    [
      "a folder of handlers that is renamed",
      ({ at }) => rename(at("handlers/users"), at("handlers/people")),
    ],
    [
      "a handler that becomes a link",
      async ({ at }) => {
        await rename(at("handlers/users/[id].get.ts"), at("src/user.ts"));
        await symlink("../../src/user.ts", at("handlers/users/[id].get.ts"));
      },
    ],
    [
      "a dangling link among the handlers",
      ({ at }) => symlink("nowhere", at("handlers/dangling.ts")),
    ],
    ["an edited handler", ({ at }) => appendFile(at("handlers/index.ts"), "\n// edited")],
    [
      "an edit of the same size and time",
      ({ at }) => editUnnoticed(at("handlers/users/[id].get.ts"), "'user'", "'resu'"),
    ],
    ["an edited import of an import", ({ at }) => editUnnoticed(at("src/deep.ts"), "= 1", "= 2")],
    ["an edited text file", ({ at }) => editUnnoticed(at("src/text.txt"), "text", "next")],
    ["an edited thread", ({ at }) => appendFile(at("src/thread.ts"), "\n// edited")],
    ["a thread that was missing", ({ at }) => writeFile(at("src/missing-thread.ts"), "export {};")],
    [
      "a file with a mistyped name that now looks like a handler",
      ({ at }) => writeFile(at("handlers/_midleware.ts"), "export default 1;"),
    ],
    [
      "a file that goes before the imported one",
      ({ at }) => writeFile(at("src/value.ts"), "export const value = 2;"),
    ],
    [
      "a file that goes before the imported folder",
      ({ at }) => writeFile(at("src/folder.ts"), "export const folder = 2;"),
    ],
    [
      "a package.json in the imported folder",
      ({ at }) => writeFile(at("src/folder/package.json"), '{"main":"other.ts"}'),
    ],
    [
      "a file that goes before the alias's",
      async ({ at }) => {
        await mkdir(at("first"));
        await writeFile(at("first/alias.ts"), "export const alias = 2;");
      },
    ],
    [
      "a link that leads to another folder",
      async ({ at }) => {
        await unlink(at("src/link"));
        await symlink("../other", at("src/link"));
      },
    ],
    [
      "a link behind a link that leads to another folder",
      async ({ at }) => {
        await unlink(at("middle"));
        await symlink("other", at("middle"));
      },
    ],
    ["a link that is dangling", ({ at }) => rename(at("real"), at("gone"))],
    [
      "an edited tsconfig.json",
      ({ at }) => editUnnoticed(at("tsconfig.json"), "./first/*", "./third/*"),
    ],
    [
      "an edited file that tsconfig.json extends",
      ({ at }) => editUnnoticed(at("config/base.json"), "one", "two"),
    ],
    ["a tsconfig.json that is nearer", ({ at }) => writeFile(at("src/tsconfig.json"), "{}")],
    [
      "an edited package.json of the project",
      ({ at }) => writeFile(at("package.json"), '{"name":"project","imports":{}}'),
    ],
    [
      "a package.json that is nearer",
      ({ at }) => writeFile(at("src/package.json"), '{"sideEffects":false}'),
    ],
    [
      "an upgraded package",
      ({ project }) => project.write(packageFiles("dependency", "2.0.0", "export default 2;")),
    ],
    ["a changed lock file", ({ at }) => editUnnoticed(at("package-lock.json"), "3", "4")],
    ["a new lock file", ({ at }) => writeFile(at("node_modules/.package-lock.json"), "{}")],
    ["a package that is gone", ({ at }) => rm(at("node_modules/dependency"), { recursive: true })],
    [
      "a package that is nearer",
      ({ project }) =>
        project.write(packageFiles("dependency", "1.0.0", "export default 1;", "handlers/")),
    ],
    [
      "a package that becomes a link",
      async ({ at }) => {
        await rename(at("node_modules/dependency"), at("dependency"));
        await symlink("../dependency", at("node_modules/dependency"));
      },
    ],
    [
      "an edited package that is compiled",
      ({ at }) => editUnnoticed(at("node_modules/compiled/index.ts"), "1", "2"),
    ],
    [
      "a damaged file of the generation",
      ({ dir, manifest }) =>
        editUnnoticed(join(dir, manifest.modules[0]?.compiled ?? ""), "=", "-"),
    ],
    [
      "a damaged manifest",
      ({ dir }) => editUnnoticed(join(dir, "manifest.json"), "development", "Development"),
    ],
    [
      "an emptied file of the generation",
      ({ dir, manifest }) => writeFile(join(dir, manifest.modules[1]?.compiled ?? ""), ""),
    ],
    [
      "a generation that lacks a file",
      ({ dir, manifest }) => rm(join(dir, manifest.modules[0]?.compiled ?? "")),
    ],
    [
      "a generation with a file that was not built",
      ({ dir }) => writeFile(join(dir, "modules/more.mjs"), ""),
    ],
    [
      "a record that ends too early",
      async ({ dir }) => {
        const text = await readFile(join(dir, RECORD_FILE), "utf8");
        await writeFile(join(dir, RECORD_FILE), text.slice(0, -1));
      },
    ],
    [
      "a record of another version",
      ({ dir }) => editUnnoticed(join(dir, RECORD_FILE), '"formatVersion":1', '"formatVersion":2'),
    ],
    ["a generation that is gone", ({ dir }) => rm(dir, { recursive: true })],
    ["a generation that another process removes", ({ dir }) => rename(dir, `${dir}-removing`)],
  ];
  for (const [title, change] of changes) {
    it(`refuses ${title}`, async (t) => {
      const built = await build(t);
      assert.equal(await built.isReused(), true, "before the change");
      await change({ ...built, at: (path) => join(built.project.dir, path) });
      assert.equal(await built.isReused(), false, "after the change");
    });
  }

  it("takes what has only new times, modes and neighbours", async (t) => {
    const built = await build(t);
    const at = (path: string): string => join(built.project.dir, path);
    for (const path of await readdir(built.project.dir, { recursive: true })) {
      if ((await lstat(at(path))).isFile()) await utimes(at(path), 1, 1);
    }
    await chmod(at("src/deep.ts"), 0o600);
    // A copy with another inode.
    await cp(at("src/deep.ts"), at("copy.ts"));
    await rename(at("copy.ts"), at("src/deep.ts"));
    await writeFile(at("access.log"), "");
    await writeFile(at("handlers/.swap"), "");
    await writeFile(join(built.dir, "lease-1"), "");
    assert.equal(await built.isReused(), true);
  });

  it("has the manifest of the build", async (t) => {
    const { project, manifest } = await build(t);
    const last = findLastBuild(project.stateDir, CONDITIONS);
    assert.ok(last !== null);
    assert.deepEqual(await loadUnchanged(project.stateDir, last), manifest);
  });

  it("takes a build again after a change that was undone", async (t) => {
    const built = await build(t);
    const path = join(built.project.dir, "src/deep.ts");
    const text = await readFile(path, "utf8");
    await writeFile(path, "export const deep = 2;");
    assert.equal(await built.isReused(), false);
    await writeFile(path, text);
    assert.equal(await built.isReused(), true);
  });

  it("links packages as the build did, and sees a link that leads elsewhere", async (t) => {
    // The state folder sees no package of the project.
    const project = await createProject(t, {
      ...packageFiles("dependency", "1.0.0", "export default 1;", "app/"),
      ...packageFiles("dependency", "1.0.0", "export default 1;", "other/"),
      "app/package.json": "{}",
      "app/handlers/index.ts": 'export { default } from "dependency";',
    });
    const options = { handlersDir: join(project.dir, "app/handlers"), conditions: CONDITIONS };
    let manifest = await project.build(options);
    for (let count = 1; findLastBuild(project.stateDir, CONDITIONS) === null; count++) {
      assert.ok(count < MOST_BUILDS, "no build was recorded");
      manifest = await project.build(options);
    }
    assert.equal(await isReused(project), true);
    const link = join(toGenerationDir(project.stateDir, manifest.id), "node_modules/dependency");
    await unlink(link);
    await symlink(join(project.dir, "other/node_modules/dependency"), link);
    assert.equal(await isReused(project), false);
  });
});

describe("findLastBuild()", () => {
  it("finds builds under the same conditions only, the last one first", async (t) => {
    const { project, manifest } = await build(t, { "handlers/index.ts": "export default 1;" });
    const other = await project.build({ conditions: "another version of Node" });
    assert.equal(findLastBuild(project.stateDir, CONDITIONS)?.id, manifest.id);
    assert.equal(findLastBuild(project.stateDir, "another version of Node")?.id, other.id);
    const last = await project.build({ conditions: CONDITIONS });
    assert.equal(findLastBuild(project.stateDir, CONDITIONS)?.id, last.id);
    assert.equal(findLastBuild(join(project.dir, "nothing"), CONDITIONS), null);
  });

  it("does not see a build that was killed", async (t) => {
    const { project, dir } = await build(t, { "handlers/index.ts": "export default 1;" });
    await rename(dir, join(project.stateDir, "generations/.building-x"));
    assert.equal(findLastBuild(project.stateDir, CONDITIONS), null);
  });
});

describe("recordBuild()", () => {
  it("records nothing while the settings of the compiler change", async (t) => {
    const project = await createProject(t, { "handlers/index.ts": "export default 1;" });
    // Newer than the build: the compiler may have seen another one.
    await writeFile(join(project.dir, "tsconfig.json"), "{}");
    await utimes(join(project.dir, "tsconfig.json"), new Date(), new Date(Date.now() + 60_000));
    const { id } = await project.build({ conditions: CONDITIONS });
    assert.equal(existsSync(join(toGenerationDir(project.stateDir, id), RECORD_FILE)), false);
  });

  it("records nothing without conditions", async (t) => {
    const project = await createProject(t, { "handlers/index.ts": "export default 1;" });
    const { id } = await project.build();
    assert.equal(existsSync(join(toGenerationDir(project.stateDir, id), RECORD_FILE)), false);
  });
});

describe("describeConditions()", () => {
  const entry = new URL("../../dist/build-child.js", import.meta.url);
  const options = { handlersDir: "/handlers", stateDir: "/state", mode: "production" } as const;

  it("differs by program, mode, folders and environment", () => {
    const described = describeConditions(entry, options);
    const before = process.env["NODE_PATH"];
    process.env["NODE_PATH"] = "/elsewhere";
    assert.notEqual(describeConditions(entry, options), described);
    if (before === undefined) delete process.env["NODE_PATH"];
    else process.env["NODE_PATH"] = before;
    const others = [
      describeConditions(new URL("../../dist/api.js", import.meta.url), options),
      describeConditions(entry, { ...options, mode: "development" }),
      describeConditions(entry, { ...options, handlersDir: "/other" }),
      describeConditions(entry, { ...options, stateDir: "/other" }),
    ];
    for (const other of others) assert.notEqual(other, described);
    assert.equal(describeConditions(entry, options), described);
  });

  it("is null for a runtime that runs from source", () => {
    const source = new URL("../../runtime/generation/build-child.ts", import.meta.url);
    assert.equal(describeConditions(source, options), null);
  });
});
