import { existsSync } from "node:fs";
import { realpath, stat, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";

import { discoverRoutes, type DiscoveredRoutes } from "../route/discover.ts";
import { toDisplayPath } from "../lib/display-path.ts";
import { assignPools } from "./assign-pools.ts";
import { type BuiltApp, type FileAppDefaults, readApps, toFileApps } from "./apps.ts";
import { BuildError } from "./build-error.ts";
import { compileModules } from "./compile.ts";
import type { Compiled } from "./compile.ts";
import { createDraft, pruneGenerations } from "./generation-store.ts";
import type { Draft } from "./generation-store.ts";
import { hashPackages } from "./hash-packages.ts";
import { describeUnused, toGuards } from "./guards.ts";
import { hashModule } from "./import-graph.ts";
import { writeLease } from "./lease.ts";
import { MANIFEST_FILE } from "./manifest.ts";
import type { Manifest, ManifestModule } from "./manifest.ts";
import { isInNodeModules } from "./package-plugin.ts";
import { PackageFinder } from "./packages.ts";
import { readConfig } from "./read-config.ts";
import { recordBuild } from "./record-build.ts";
import { addSites, type BuiltSite } from "./site-tables.ts";
import type { Source } from "./source-plugin.ts";
import { findTsconfig, type Tsconfig } from "./tsconfig.ts";

export interface BuildOptions {
  /** The folder with the handlers. */
  handlersDir: string;
  /** The state folder, `.edgicorn`. Inside the project, packages resolve as in the sources. */
  stateDir: string;
  /** Development maps carry the source text. */
  mode: "development" | "production";
  /** The folder may be missing: other parts of the server answer requests. Default: only applications and sites do. */
  isOptional?: boolean | undefined;
  /** The sites beside the default one that have handlers. */
  sites?: readonly BuiltSite[] | undefined;
  /** Python applications: they answer what no handler answers. */
  apps?: readonly BuiltApp[] | undefined;
  /** Settings of Python applications that are files among the handlers. Default: the working directory, `python3`. */
  fileApps?: FileAppDefaults | undefined;
  /** Number of newest generations to keep, this one included. Default: 5. */
  keepLast?: number | undefined;
  /** See `describeConditions`. A build without them cannot be reused. */
  conditions?: string | undefined;
  /** The process that will use the generation. The generation stays until that process releases its lease or ends. */
  leaseTo?: number | undefined;
  /** Aborting leaves nothing behind. */
  signal?: AbortSignal | undefined;
}

/**
 * Builds a generation: an immutable, compiled copy of a handlers folder under `<stateDir>/generations/<id>/`.
 *
 * It appears in one step, complete with its manifest, or not at all. Several builds may run at once.
 *
 * @throws RuntimeError ERR_HANDLER_LOAD whose message lists all that is wrong, one line each, a `BuildError` once sources
 *   were read; the signal's reason.
 */
export async function buildGeneration(options: BuildOptions): Promise<Manifest> {
  const { stateDir, keepLast = 5, leaseTo } = options;
  const draft = await createDraft(resolve(stateDir));
  let manifest: Manifest;
  try {
    manifest = await fillDraft(draft, options);
    options.signal?.throwIfAborted();
    if (leaseTo !== undefined) await writeLease(draft.dir, leaseTo);
    await draft.publish();
  } catch (error) {
    await draft.discard();
    throw error;
  }
  try {
    await pruneGenerations({ stateDir, keepLast, keep: draft.id });
  } catch (error) {
    // The new generation is complete: this is no reason to refuse it.
    const problem = error instanceof Error ? error.message : String(error);
    manifest.warnings.push(`Cannot remove old generations: ${problem}`);
  }
  return manifest;
}

async function fillDraft(
  draft: Draft,
  {
    handlersDir,
    mode,
    conditions,
    signal,
    apps = [],
    fileApps,
    sites = [],
    isOptional,
  }: BuildOptions,
): Promise<Manifest> {
  // The clock of the file system may differ from this machine's.
  const startedAtMs = Math.min(Date.now(), (await stat(draft.dir)).mtimeMs);
  // A project of applications, sites or proxies alone needs no such folder.
  const mayLack = isOptional === true || apps.length + sites.length > 0;
  const hasHandlers = !mayLack || existsSync(handlersDir);
  // Compiled code and `import.meta.url` name real paths, as Node itself does.
  const finding = (hasHandlers ? realpath(handlersDir) : realpath(".")).then(findTsconfig);
  // The walk through the folder says it better when it cannot be read.
  finding.catch(() => {});
  const own = hasHandlers ? await discoverRoutes(resolve(handlersDir)) : noRoutes(handlersDir);
  const sourceDir = hasHandlers ? await realpath(handlersDir) : await toPlace(handlersDir, sites);
  const ofSites = await addSites(own, sites, { sourceDir });
  const { table } = ofSites;
  const finder = new PackageFinder();
  const tsconfig = await finding;
  const compiled = await compileModules({
    sourceDir,
    tsconfig,
    modules: table.modules,
    outDir: draft.dir,
    finder,
    mode,
    signal,
  });
  await compiled.links.write();
  const problems: string[] = [];
  const packageDirs = listPackageDirs(compiled);
  // All files of a package under development that is not compiled: Node reads them when a worker starts.
  const developed = packageDirs.filter((dir) => !isInNodeModules(dir));
  const { sources } = compiled;
  const pools = await readConfigs(table.modules, { sources, sourceDir });
  const nameOf = (module: number): string =>
    toDisplayPath(join(sourceDir, table.modules[module] ?? ""));
  const guarded = toGuards(table.guards, {
    isGuard: (module) => pools.guards.has(module),
    display: nameOf,
  });
  const withGuards = { ...table, fallbacks: [...table.fallbacks, ...guarded.guards] };
  const { routes, fallbacks, ...assigned } = assignPools(withGuards, {
    poolOf: (module) => pools.names[module] ?? null,
    display: nameOf,
    sites,
  });
  const defaults = fileApps ?? { dir: process.cwd(), python: "python3", kind: "auto" };
  const taken = { modules: table.modules, routes };
  const named = await readApps(
    [...apps, ...toFileApps(table.apps, { defaults, apps, sourceDir })],
    {
      sourceDir,
      taken,
    },
  );
  const inputs = [
    ...compiled.sources.keys(),
    ...tsconfig.files,
    ...developed,
    ...named.inputs,
  ].toSorted();
  problems.push(...pools.problems, ...guarded.problems, ...assigned.problems, ...named.problems);
  if (problems.length > 0) throw new BuildError(problems.join("\n"), { inputs });

  const isOfSites = sites.length > 0 || apps.some(({ site }) => site !== undefined);
  const manifest: Manifest = {
    formatVersion: isOfSites ? 3 : 2,
    id: draft.id,
    createdAt: new Date().toISOString(),
    mode,
    sourceDir,
    modules: [
      ...(await describeModules(table.modules, { compiled, finder, draft, sourceDir, tsconfig })),
      ...named.modules,
    ],
    ...(sites.length > 0 && { sites: ofSites.sites }),
    routes: [...routes, ...named.routes],
    fallbacks,
    packages: await hashPackages(sourceDir, packageDirs),
    inputs,
    warnings: [
      ...table.warnings,
      ...describeUnused(table.guards, { routes, fallbacks, nameOf }),
      ...compiled.warnings,
    ],
  };
  await writeFile(join(draft.dir, MANIFEST_FILE), `${JSON.stringify(manifest, null, 2)}\n`);
  if (conditions !== undefined) {
    await recordBuild({
      conditions,
      startedAtMs,
      dir: draft.dir,
      sourceDir,
      sources,
      metafile: compiled.metafile,
      finder,
      packageDirs,
      tsconfigs: tsconfig.files,
      lookedAt: [...table.read, ...tsconfig.missing, ...compiled.lookedAt],
      folders: table.folders,
    });
  }
  return manifest;
}

/** The pool that each module names, by its number, and the modules that guard files. */
async function readConfigs(
  modules: readonly string[],
  { sources, sourceDir }: { sources: ReadonlyMap<string, Source>; sourceDir: string },
): Promise<{ names: (string | null)[]; guards: Set<number>; problems: string[] }> {
  const guards = new Set<number>();
  const problems: string[] = [];
  const names: (string | null)[] = [];
  for (const [number, module] of modules.entries()) {
    // A link is compiled under its real name.
    const path = join(sourceDir, module);
    const source = sources.get(path) ?? sources.get(await realpath(path));
    const reading = await readConfig(source?.text ?? "", path);
    names.push(reading.ok ? reading.pool : null);
    if (reading.ok && reading.files) guards.add(number);
    if (!reading.ok) {
      const { line, column, message } = reading;
      problems.push(`${toDisplayPath(path)}:${line}:${column}: ${message}`);
    }
  }
  return { names, guards, problems };
}

function listPackageDirs({ links }: Compiled): string[] {
  return [...new Set([...links.packages.values()].flatMap(({ dir }) => dir ?? []))];
}

/** The routes of a folder that is not there. The record notes the place: a folder may come to be. */
function noRoutes(handlersDir: string): DiscoveredRoutes {
  const folders = [resolve(handlersDir)];
  const none = { modules: [], routes: [], fallbacks: [], guards: [], apps: [] };
  return { ...none, problems: [], warnings: [], folders, read: [] };
}

/** The compiler runs in a folder that exists, if there is anything to compile. */
async function toPlace(handlersDir: string, { length }: readonly BuiltSite[]): Promise<string> {
  let place = resolve(handlersDir);
  if (length === 0) return place;
  while (!existsSync(place)) place = dirname(place);
  return realpath(place);
}

interface DescribeOptions {
  compiled: Compiled;
  finder: PackageFinder;
  draft: Draft;
  sourceDir: string;
  tsconfig: Tsconfig;
}

async function describeModules(
  modules: readonly string[],
  { compiled, finder, draft, sourceDir, tsconfig }: DescribeOptions,
): Promise<ManifestModule[]> {
  const { files, metafile, sources } = compiled;
  const packages = new Map<string, string>();
  for (const [specifier, { label, dir }] of compiled.links.packages) {
    packages.set(specifier, `${label} ${dir === null ? "" : await finder.version(dir)}`);
  }
  const entries = new Map<string, string>();
  for (const [path, { entryPoint }] of Object.entries(metafile.outputs)) {
    if (entryPoint === undefined) continue;
    entries.set(relative(draft.dir, resolve(sourceDir, path)).split(sep).join("/"), entryPoint);
  }
  const hash = {
    metafile,
    sourceHash: (path: string) => sources.get(resolve(sourceDir, path))?.hash ?? null,
    settings: tsconfig.hash,
    describePackage: (specifier: string) => packages.get(specifier) ?? null,
  };
  return modules.map((source, index) => {
    const file = files[index] ?? "";
    return { source, compiled: file, ...hashModule(entries.get(file) ?? source, hash) };
  });
}
