// Compiles runtime/ to dist/ for production: `node scripts/build.mjs [--if-stale]`.
// Plain JavaScript, so that `npm start` needs no loader to find out that there is nothing to do.
import { execFile } from "node:child_process";
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));
const outdir = join(root, "dist");
const inputs = [
  "runtime",
  "package.json",
  "package-lock.json",
  "scripts/build.mjs",
  "scripts/tsconfig.declarations.json",
];

/** `npm ci --omit=dev` leaves it out: the program then runs, and the package has no types. */
const tsc = join(root, "node_modules/typescript/bin/tsc");

/** They bring binaries. */
const NATIVE = ["uWebSockets.js", "esbuild", "msgpackr-extract"];

/** They are loaded only now and then. */
const RARE = ["jsonc-parser", "pino-pretty", "@peculiar/asn1-schema", "@peculiar/asn1-x509"];

const REQUIRE =
  'import { createRequire as edgicornRequire } from "node:module"; const require = edgicornRequire(import.meta.url);';

if (!(process.argv.includes("--if-stale") && isFresh())) await build();

async function build() {
  const esbuild = await findEsbuild();
  if (esbuild === null) {
    process.stderr.write(
      "Cannot build dist/: found no package esbuild, expected the packages of this project: run npm ci first\n",
    );
    process.exitCode = 1;
    return;
  }
  rmSync(outdir, { recursive: true, force: true });
  await Promise.all([compile(esbuild), declareTypes()]);
  // Files of `edgicorn init`, as they are.
  cpSync(join(root, "runtime/cli/init/templates"), join(outdir, "templates"), { recursive: true });
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

/** Writes the types of the package's exports. `npm run check` has checked them. */
async function declareTypes() {
  if (!existsSync(tsc)) return;
  const project = join(root, "scripts/tsconfig.declarations.json");
  await promisify(execFile)(process.execPath, [tsc, "-p", project]).catch((error) => {
    process.stderr.write(error.stdout);
    throw error;
  });
  const needed = findDeclarations(join(outdir, "api.d.ts"));
  for (const name of readdirSync(outdir, { recursive: true })) {
    if (!name.endsWith(".d.ts")) continue;
    const path = join(outdir, name);
    // tsc writes those of all sources that it has read.
    if (!needed.has(path)) {
      rmSync(path);
      continue;
    }
    const text = readFileSync(path, "utf8");
    // tsc leaves the extension of the sources, which are not in the package.
    writeFileSync(path, text.replaceAll(/(from "\.{1,2}\/[^"]*)\.ts"/g, '$1.js"'));
  }
  cpSync(join(root, "runtime/imports.d.ts"), join(outdir, "types.d.ts"));
}

/** The declaration files that one refers to, itself included. */
function findDeclarations(path, found = new Set()) {
  if (found.has(path)) return found;
  found.add(path);
  for (const [, source] of readFileSync(path, "utf8").matchAll(/^(?! *\*).*\bfrom "(\.[^"]*)"/gm)) {
    findDeclarations(join(dirname(path), source.replace(/\.ts$/, ".d.ts")), found);
  }
  return found;
}

async function compile(esbuild) {
  await esbuild.build({
    absWorkingDir: root,
    entryPoints: {
      main: "runtime/main.ts",
      "build-child": "runtime/generation/build-child.ts",
      api: "runtime/api.ts",
    },
    outdir,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20.19",
    // Plain JavaScript is bundled: a worker that reads one file boots twice as fast as one that resolves 150.
    external: [...NATIVE, ...RARE, "edgicorn/package.json"],
    // Some packages are CommonJS and require Node's own modules.
    banner: { js: REQUIRE },
    legalComments: "linked",
    sourcemap: "linked",
    // Lines and names are enough for stack traces. The sources would double the size of the package.
    sourcesContent: false,
    logLevel: "warning",
  });
}

/** Whether the last build is newer than everything it was made of. */
function isFresh() {
  const built = statSync(join(outdir, "main.js"), { throwIfNoEntry: false });
  if (existsSync(tsc) && !existsSync(join(outdir, "api.d.ts"))) return false;
  return built !== undefined && inputs.every((input) => newest(join(root, input)) < built.mtimeMs);
}

function newest(path) {
  const stats = statSync(path);
  if (!stats.isDirectory()) return stats.mtimeMs;
  // A folder's own time tells of files that were removed.
  return Math.max(stats.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}
