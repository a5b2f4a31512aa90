// Compiles runtime/ to dist/ for production: `node scripts/build.mjs [--if-stale]`.
// Plain JavaScript, so that `npm start` needs no loader to find out that there is nothing to do.
import { execFile } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { writeCodeCaches } from "./code-cache/write-code-caches.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");

/** Holds a build until it is whole and moved, so that programs never find half of one. It is also the lock of builds. */
const outdir = join(root, "dist.building");
const OWNER = /^owner-(\d+)$/;
const owner = join(outdir, `owner-${process.pid}`);

/** Longest wait for the build of another process. A build takes four seconds, and twenty times as long on a busy machine. */
const MAX_WAIT_MS = 300_000;

const inputs = [
  "runtime",
  "package.json",
  "package-lock.json",
  "scripts/build.mjs",
  "scripts/code-cache",
  "scripts/tsconfig.declarations.json",
];

/** `npm ci --omit=dev` leaves tsc out: the program then runs, and the package has no types. */
const tsc = join(root, "node_modules/typescript/bin/tsc");

/** Packages that bring binaries. */
const NATIVE = ["uWebSockets.js", "esbuild", "lmdb"];

/** Packages that are loaded rarely. */
const RARE = [
  "@redis/client",
  "html-rewriter-wasm",
  "jsonc-parser",
  "pino-pretty",
  "toml-eslint-parser",
  "undici",
  "urlpattern-polyfill",
];

/**
 * Commands that run a server; without a command, one starts, too. Their program is ten times as large as the rest of the
 * command line.
 */
const SERVER_COMMANDS = ["start", "dev", "check", "drill"];
/** Flags that run none, if they come first. */
const TELLING_FLAGS = ["--help", "-h", "--version", "-v"];
const SERVER_SOURCES = ["server/start.ts", "cli/check.ts", "cli/drill.ts"];

/**
 * Each script is one CommonJS file, which runs with V8's code of an earlier run (`runtime/lib/cached-script.ts`). An
 * entry runs one of its scripts.
 */
const SCRIPTS = {
  server: { source: "runtime/cli/run.ts" },
  commands: { source: "runtime/cli/run.ts", without: SERVER_SOURCES },
  compiler: { source: "runtime/generation/build-child.ts" },
};

/** Modules that run scripts. */
const SCRIPT_ENTRIES = {
  main: { source: "runtime/main.ts", runs: "runtime/cli/run.ts" },
  "build-child": {
    source: "runtime/generation/build-child.ts",
    runs: "runtime/generation/build-child.ts",
  },
};

/** The thread of the primary that hashes passwords. */
const THREAD = { "hash-thread": "runtime/auth/hash-thread.ts" };

/**
 * A worker, and the modules that handlers import: they use the same instances. Compiled apart from the primary, they
 * share no files with it, and a worker loads 3 files.
 */
const WORKER = {
  worker: "runtime/worker/main.ts",
  api: "runtime/api.ts",
  "workers-module": "runtime/platform/workers-module.ts",
};

const ENTRIES = { ...SCRIPT_ENTRIES, ...THREAD, ...WORKER };

/** A script has no `import()`: its entry passes a function. */
const importByEntry = {
  name: "import-by-entry",
  setup({ onLoad }) {
    onLoad({ filter: /[/\\]lib[/\\]import-module\.ts$/ }, () => ({
      contents: "export const importModule = edgicornImport;",
    }));
  },
};

/**
 * Loads the binary of msgpackr-extract that its package would find. The package reads a dozen files to tell the C library,
 * which costs each process 20 ms. It still does where this is no common Linux.
 */
const BINARY_OF_MSGPACKR = `
  const { existsSync } = require("node:fs");
  const { arch, platform, versions } = process;
  const cpu = { x64: "x86_64", arm64: "aarch64" }[arch];
  const isCommon =
    platform === "linux" && cpu !== undefined && !existsSync("/lib/ld-musl-" + cpu + ".so.1");
  const load = () => {
    for (const api of isCommon ? ["abi" + versions.modules, "napi"] : []) {
      try {
        return require("@msgpackr-extract/msgpackr-extract-linux-" + arch + "/node." + api + ".glibc.node");
      } catch {
        // There is none for this version of Node, or the package is not where this program looks for it.
      }
    }
    return require("msgpackr-extract");
  };
  module.exports = load();`;

const binaryOfMsgpackr = {
  name: "binary-of-msgpackr",
  setup({ onLoad, onResolve }) {
    const namespace = "binary-of-msgpackr";
    onResolve({ filter: /^msgpackr-extract$/ }, ({ path, ...from }) =>
      from.namespace === namespace ? { path, external: true } : { path, namespace },
    );
    onLoad({ filter: /./, namespace }, () => ({ contents: BINARY_OF_MSGPACKR }));
  },
};

/** The entry of the workers is compiled apart. */
const workerApart = {
  name: "worker-apart",
  setup({ onResolve }) {
    onResolve({ filter: /^\.\/worker\/main\.ts$/ }, () => ({
      path: "./worker.js",
      external: true,
    }));
  },
};

/** The module that records V8's code of the scripts. Only a build needs it. */
const RECORDER = "record-code";

const REQUIRE =
  'import { createRequire as edgicornRequire } from "node:module"; const require = edgicornRequire(import.meta.url);';

const ifStale = process.argv.includes("--if-stale");
if (!(ifStale && isFresh())) {
  await lock();
  try {
    // Another process may have built it meanwhile.
    if (!(ifStale && isFresh())) await build();
  } finally {
    rmSync(outdir, { recursive: true, force: true });
  }
}

async function build() {
  const esbuild = await findEsbuild();
  if (esbuild === null) {
    process.stderr.write(
      "Cannot build dist/: found no package esbuild, expected the packages of this project: run npm ci first\n",
    );
    process.exitCode = 1;
    return;
  }
  const startedAt = new Date();
  await allEnded([compile(esbuild), declareTypes()]);
  // `edgicorn init` copies these files.
  cpSync(join(root, "runtime/cli/init/templates"), join(outdir, "templates"), { recursive: true });
  // Modules of Python workers, as they are.
  cpSync(join(root, "runtime/python"), join(outdir, "python"), {
    recursive: true,
    filter: (path) => !path.endsWith("__pycache__"),
  });
  // `edgicorn import` lets Python run it. Compiled code looks for it beside itself.
  cpSync(join(root, "runtime/cli/import/dump_gunicorn.py"), join(outdir, "dump_gunicorn.py"));
  // Sources that change during the build make it stale.
  utimesSync(join(outdir, "main.js"), startedAt, startedAt);
  publish();
}

/** Returns all results. Throws the first failure, once all have ended: they write into the folder that is removed then. */
async function allEnded(promises) {
  const ends = await Promise.allSettled(promises);
  for (const end of ends) if (end.status === "rejected") throw end.reason;
  return ends.map(({ value }) => value);
}

/** Returns the compiler; `null` in a clone without packages. */
async function findEsbuild() {
  try {
    return await import("esbuild");
  } catch (error) {
    if (error.code === "ERR_MODULE_NOT_FOUND") return null;
    throw error;
  }
}

/** Moves the new files over the old ones, those that import others last, and then removes the files of older builds. */
function publish() {
  const files = filesOf(outdir).filter((name) => !OWNER.test(name));
  const entries = new Set(Object.keys(ENTRIES).map((name) => `${name}.js`));
  const inOrder = [
    ...files.filter((name) => !entries.has(name)),
    ...files.filter((name) => entries.has(name) && name !== "main.js"),
    // The time of this file tells whether the build is fresh.
    "main.js",
  ];
  for (const name of inOrder) {
    mkdirSync(dirname(join(dist, name)), { recursive: true });
    renameSync(join(outdir, name), join(dist, name));
  }
  const known = new Set(files);
  for (const name of filesOf(dist)) if (!known.has(name)) rmSync(join(dist, name));
}

/** Returns the names of the files below a folder, relative to it. */
function filesOf(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(folder, join(parentPath, name)));
}

/** Waits for the build of another process, unless that process has ended. */
async function lock() {
  const deadlineMs = performance.now() + MAX_WAIT_MS;
  for (;;) {
    try {
      mkdirSync(outdir);
      writeFileSync(owner, "");
      return;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    if (takeOver()) return;
    if (performance.now() > deadlineMs) {
      throw new Error(
        `Cannot build: found ${outdir} of another build for ${MAX_WAIT_MS} ms, expected it to end. ` +
          "If none runs, remove the folder",
      );
    }
    // oxlint-disable-next-line no-await-in-loop -- No event reports the end of a process that is not a child.
    await delay(50);
  }
}

/** Takes the folder of a build that was killed. Only one process can rename the file that names the killed one. */
function takeOver() {
  try {
    const name = readdirSync(outdir).find((each) => OWNER.test(each));
    if (name === undefined || !hasEnded(Number(OWNER.exec(name)[1]))) return false;
    renameSync(join(outdir, name), owner);
  } catch (error) {
    // The other build has ended, or another process was faster.
    if (error.code === "ENOENT") return false;
    throw error;
  }
  for (const name of readdirSync(outdir)) {
    if (!OWNER.test(name)) rmSync(join(outdir, name), { recursive: true });
  }
  return true;
}

function hasEnded(pid) {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === "ESRCH";
  }
}

/** Writes the types of the package's exports. `npm run check` has checked them. */
async function declareTypes() {
  if (!existsSync(tsc)) return;
  const project = join(root, "scripts/tsconfig.declarations.json");
  await promisify(execFile)(process.execPath, [tsc, "-p", project, "--outDir", outdir]).catch(
    (error) => {
      process.stderr.write(error.stdout);
      throw error;
    },
  );
  const needed = findDeclarations(join(outdir, "api.d.ts"));
  for (const name of readdirSync(outdir, { recursive: true })) {
    if (!name.endsWith(".d.ts")) continue;
    const path = join(outdir, name);
    // tsc writes the declarations of all sources that it has read.
    if (!needed.has(path)) {
      rmSync(path);
      continue;
    }
    const text = readFileSync(path, "utf8");
    // tsc keeps the extension `.ts`, and the sources are not in the package.
    writeFileSync(path, text.replaceAll(/((?:from |import\()"\.{1,2}\/[^"]*)\.ts"/g, '$1.js"'));
  }
  cpSync(join(root, "runtime/imports.d.ts"), join(outdir, "types.d.ts"));
}

/** Returns the declaration files that one of them needs, itself included. */
function findDeclarations(path, found = new Set()) {
  if (found.has(path)) return found;
  found.add(path);
  // Without comments, whose examples import, too. tsc names types that it infers with `import("...")`.
  const text = readFileSync(path, "utf8").replaceAll(/^ *\/?\*.*$/gm, "");
  for (const [, source] of text.matchAll(/\b(?:from |import\()"(\.[^"]*)"/g)) {
    findDeclarations(join(dirname(path), source.replace(/\.ts$/, ".d.ts")), found);
  }
  return found;
}

async function compile(esbuild) {
  const options = {
    absWorkingDir: root,
    outdir,
    bundle: true,
    platform: "node",
    target: "node20.19",
    // Plain JavaScript is bundled: a worker that reads one file boots twice as fast as one that resolves 150.
    external: [...NATIVE, ...RARE, "edgicorn/package.json"],
    legalComments: "linked",
    sourcemap: "linked",
    // Lines and names are enough for stack traces. The sources would double the size of the package.
    sourcesContent: false,
    logLevel: "warning",
  };
  const modules = {
    ...options,
    format: "esm",
    // Some packages are CommonJS and require Node's own modules.
    banner: { js: REQUIRE },
  };
  const scripts = compileScripts(esbuild, options);
  await allEnded([
    scripts.then((names) => compileScriptEntries(esbuild, { names, modules })),
    esbuild.build({
      ...modules,
      entryPoints: WORKER,
      splitting: true,
      plugins: [binaryOfMsgpackr],
    }),
    esbuild.build({ ...modules, entryPoints: THREAD }),
    compileStatusPage(esbuild),
    esbuild.build({ ...modules, entryPoints: { [RECORDER]: "scripts/code-cache/record.ts" } }),
  ]);
  await writeCodeCaches(outdir, { dist, recorder: `${RECORDER}.js`, scripts: await scripts }).catch(
    ({ message }) => {
      process.stderr.write(
        `dist/ is complete, but starts take longer than they could: ${message}\n`,
      );
    },
  );
  for (const name of [`${RECORDER}.js`, `${RECORDER}.js.map`]) rmSync(join(outdir, name));
}

/** Compiles the status page for browsers. `runtime/admin/page-files.ts` does the same from source. */
async function compileStatusPage(esbuild) {
  await esbuild.build({
    absWorkingDir: root,
    entryPoints: {
      page: "runtime/admin/page/page.ts",
      styles: "runtime/admin/page/styles.css",
    },
    outdir: join(outdir, "status-page"),
    bundle: true,
    minify: true,
    logLevel: "warning",
  });
  cpSync(join(root, "runtime/admin/page/page.html"), join(outdir, "status-page/page.html"));
}

/** Returns the name of each script's file. */
async function compileScripts(esbuild, options) {
  const compiling = Object.entries(SCRIPTS).map(async ([name, { source, without = [] }]) => {
    const { metafile } = await esbuild.build({
      ...options,
      entryPoints: { [name]: source },
      // V8 must never use the code of another script: see cached-script.ts.
      entryNames: "[name]-[hash]",
      outExtension: { ".js": ".cjs" },
      format: "cjs",
      define: { "import.meta": "edgicornMeta" },
      // A script has no `import()`: it requires names that are known now.
      supported: { "dynamic-import": false },
      plugins: [importByEntry, binaryOfMsgpackr, ...without.map(leaveOut)],
      metafile: true,
    });
    const file = Object.keys(metafile.outputs)
      .map((path) => basename(path))
      .find((output) => output.endsWith(".cjs"));
    refuseModuleSyntax(readFileSync(join(outdir, file), "utf8"), source);
    return [name, file];
  });
  return Object.fromEntries(await allEnded(compiling));
}

/** Throws if a script uses parts of modules that its entry does not pass (`ScriptScope` in cached-script.ts). */
function refuseModuleSyntax(text, source) {
  const required = /=> __toESM\(require\((?!")([^)]*)\)/.exec(text);
  if (required !== null) {
    throw new Error(
      `Cannot compile ${source}: found import(${required[1]}), expected a constant name, or importModule() of runtime/lib/`,
    );
  }
  const meta = /\bedgicornMeta\.(?!(?:url|resolve)\b)\w+/.exec(text);
  if (meta !== null) {
    const name = meta[0].replace("edgicornMeta", "import.meta");
    throw new Error(
      `Cannot compile ${source}: found ${name}, expected import.meta.url or import.meta.resolve`,
    );
  }
}

async function compileScriptEntries(esbuild, { names, modules }) {
  const { server, commands, compiler } = names;
  const isWithoutServer = `((word = "--") => ${JSON.stringify(TELLING_FLAGS)}.includes(word) ||
    !(word.startsWith("-") || ${JSON.stringify(SERVER_COMMANDS)}.includes(word)))(process.argv[2])`;
  const choice = {
    main: `${isWithoutServer} ? "${commands}" : "${server}"`,
    "build-child": JSON.stringify(compiler),
  };
  const compiling = Object.entries(SCRIPT_ENTRIES).map(([entry, { source, runs }]) =>
    esbuild.build({
      ...modules,
      entryPoints: { [entry]: source },
      plugins: [workerApart, replaceSource(runs, toRunner(choice[entry]))],
    }),
  );
  await allEnded(compiling);
}

/** Returns a module that runs a script. Only the command line has an export that another module uses. */
function toRunner(file) {
  return `import { runScript } from "./runtime/lib/cached-script.ts";
    const importModule = (specifier) => import(specifier);
    export const { runCommandLine } = runScript(${file}, { meta: import.meta, importModule });`;
}

function leaveOut(source) {
  return replaceSource(
    `runtime/${source}`,
    `throw new Error("Cannot load ${source}: it is in another script");`,
  );
}

function replaceSource(source, contents) {
  const path = join(root, source);
  return {
    name: `replace-${basename(source)}`,
    setup({ onLoad }) {
      onLoad({ filter: /\.ts$/ }, (file) =>
        file.path === path ? { contents, resolveDir: root } : null,
      );
    },
  };
}

/** Returns whether the last build is newer than all of its inputs. */
function isFresh() {
  const built = statSync(join(dist, "main.js"), { throwIfNoEntry: false });
  if (existsSync(tsc) && !existsSync(join(dist, "api.d.ts"))) return false;
  return built !== undefined && inputs.every((input) => newest(join(root, input)) < built.mtimeMs);
}

function newest(path) {
  // Python writes there while it runs.
  if (path.endsWith("__pycache__")) return 0;
  const stats = statSync(path);
  if (!stats.isDirectory()) return stats.mtimeMs;
  // Removing a file changes the time of its folder.
  return Math.max(stats.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}
