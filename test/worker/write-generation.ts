import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { build } from "esbuild";
import type { Manifest } from "../../runtime/generation/manifest.ts";
import { DEFAULT_POOL } from "../../runtime/lib/pool-name.ts";

const ROOT = join(import.meta.dirname, "../..");

export interface GenerationPlan {
  /** Source text by name. Names that a route or fallback uses become modules; the others can be imported. */
  files: Record<string, string>;
  routes?: RoutePlan[];
  fallbacks?: Omit<RoutePlan, "methods">[];
}

export interface RoutePlan {
  pattern: string;
  /** One per method that the file's name says; `null`: none. */
  handlers: [method: string | null, file: string][];
  middleware?: string[];
  error?: string;
  /** The default pool unless told. */
  pool?: string;
}

export interface WrittenGeneration {
  /** What the sources are in: messages name files relative to it. */
  cwd: string;
  generationDir: string;
}

/**
 * Compiles sources as the build does and writes a manifest beside them. In a folder of this project, so that packages
 * are found; it goes with the test.
 */
export async function writeGeneration(
  t: TestContext,
  plan: GenerationPlan,
): Promise<WrittenGeneration> {
  await mkdir(join(ROOT, ".edgicorn"), { recursive: true });
  const cwd = await mkdtemp(join(ROOT, ".edgicorn", "test-"));
  t.after(() => rm(cwd, { recursive: true }));
  const sourceDir = join(cwd, "handlers");
  const generationDir = join(cwd, "generation");
  for (const [name, text] of Object.entries(plan.files)) {
    await mkdir(dirname(join(sourceDir, name)), { recursive: true });
    await writeFile(join(sourceDir, name), text);
  }

  const names: string[] = [];
  const numberOf = (name: string): number => {
    if (!names.includes(name)) names.push(name);
    return names.indexOf(name);
  };
  const toEntry = ({ pattern, handlers, middleware = [], error, pool }: RoutePlan) => ({
    pattern,
    pool: pool ?? DEFAULT_POOL,
    handlers: handlers.map(([method, file]) => ({ method, module: numberOf(file) })),
    middleware: middleware.map(numberOf),
    error: error === undefined ? null : numberOf(error),
  });
  const routes = (plan.routes ?? []).map(toEntry);
  const fallbacks = (plan.fallbacks ?? []).map(toEntry).map(({ handlers, ...rest }) => ({
    ...rest,
    module: handlers[0]?.module ?? 0,
  }));

  await build({
    entryPoints: names.map((name, index) => ({
      in: join(sourceDir, name),
      out: `module-${index}`,
    })),
    outdir: generationDir,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    packages: "external",
    sourcemap: "linked",
    logLevel: "silent",
  });
  const manifest: Manifest = {
    formatVersion: 2,
    id: "test",
    createdAt: new Date(0).toISOString(),
    mode: "production",
    sourceDir,
    modules: names.map((source, index) => ({
      source,
      compiled: `module-${index}.mjs`,
      hash: String(index),
      usesPackages: false,
    })),
    routes,
    fallbacks,
    packages: "",
    inputs: [],
    warnings: [],
  };
  await writeFile(join(generationDir, "manifest.json"), JSON.stringify(manifest));
  return { cwd, generationDir };
}
