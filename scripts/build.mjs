// Compiles runtime/ to dist/ for production: `node scripts/build.mjs [--if-stale]`.
// Plain JavaScript, so that `npm start` needs no loader to find out that there is nothing to do.
import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const outdir = join(root, "dist");
const inputs = ["runtime", "package.json", "package-lock.json", "scripts/build.mjs"];

/** They bring binaries. */
const NATIVE = ["uWebSockets.js", "esbuild", "msgpackr-extract"];

/** They are loaded only now and then. */
const RARE = ["chokidar", "pino-pretty", "@peculiar/asn1-schema", "@peculiar/asn1-x509"];

const REQUIRE =
  'import { createRequire as edgicornRequire } from "node:module"; const require = edgicornRequire(import.meta.url);';

if (!(process.argv.includes("--if-stale") && isFresh())) await build();

async function build() {
  const esbuild = await import("esbuild");
  rmSync(outdir, { recursive: true, force: true });
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
    // What is plain JavaScript is bundled: a worker that reads one file boots twice as fast as one that resolves 150.
    external: [...NATIVE, ...RARE, "edgicorn/package.json"],
    // Some packages are CommonJS and require Node's own modules.
    banner: { js: REQUIRE },
    legalComments: "linked",
    sourcemap: "linked",
    logLevel: "warning",
  });
}

/** Whether the last build is newer than everything it was made of. */
function isFresh() {
  const built = statSync(join(outdir, "main.js"), { throwIfNoEntry: false });
  return built !== undefined && inputs.every((input) => newest(join(root, input)) < built.mtimeMs);
}

function newest(path) {
  const stats = statSync(path);
  if (!stats.isDirectory()) return stats.mtimeMs;
  // A folder's own time tells of files that were removed.
  return Math.max(stats.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}
