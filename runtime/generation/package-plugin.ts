import { readFile } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import { pathToFileURL } from "node:url";

import type { ImportKind, OnResolveArgs, OnResolveResult, Plugin, ResolveResult } from "esbuild";

import { isRuntimeCode } from "../lib/stack-frames.ts";
import { LinkedSources } from "./linked-sources.ts";
import type { PackageLinks } from "./package-links.ts";
import { describeMissing, describeUnresolved, describeWrongScheme } from "./package-problems.ts";
import { toPackageName } from "./packages.ts";
import type { PackageFinder } from "./packages.ts";

/** Extensions that Node cannot load, or loads in another way than handlers import them. */
const COMPILED = /\.(?:[mc]?tsx?|jsx|txt|html|css|md|sql|svg|graphql|gql|wasm)$/;

const IMPORTS: ReadonlySet<ImportKind> = new Set(["import-statement", "dynamic-import"]);

/** Marks a resolution that the plugin itself asks esbuild for: esbuild calls the plugin again. */
const ASKING = Symbol("asking");

export interface PackagePluginOptions {
  finder: PackageFinder;
  links: PackageLinks;
  /** The file that has the aliases, where it is not the nearest `tsconfig.json`. */
  tsconfig: string | null;
  /** Receives the absolute path of each file of a package whose text decides. */
  lookedAt: Set<string>;
}

/**
 * Decides for each import of a package whether Node loads the package or the build compiles it like local files.
 *
 * Node cannot load TypeScript, JSX and text. The build compiles a package whose entry is such a file: a workspace, which
 * is a link, and its copy in a deployment. It also compiles JavaScript of a workspace that reaches TypeScript. Node
 * loads all other packages: they are large, may contain machine code, and are one instance for all importers.
 *
 * The build reports static imports that cannot be resolved, because esbuild knows their lines. A worker would only know
 * the compiled file. Other imports (`require`, `import()`) may fail on purpose.
 */
export function createPackagePlugin({
  finder,
  links,
  tsconfig,
  lookedAt,
}: PackagePluginOptions): Plugin {
  return {
    name: "packages",
    setup(build) {
      const answers = new Map<string, Promise<ResolveResult>>();
      const ask = (path: string, args: Pick<OnResolveArgs, "kind" | "importer" | "resolveDir">) => {
        const { kind, importer, resolveDir } = args;
        const key = `${kind}\0${resolveDir}\0${path}`;
        const known = answers.get(key);
        if (known !== undefined) return known;
        const answer = build.resolve(path, { kind, importer, resolveDir, pluginData: ASKING });
        answers.set(key, answer);
        return answer;
      };
      const workingDir = build.initialOptions.absWorkingDir ?? process.cwd();
      const linked = new LinkedSources(
        (specifier, resolveDir) =>
          ask(specifier, { kind: "import-statement", importer: "", resolveDir }),
        lookedAt,
      );

      // Many files of a folder import the same packages.
      const decisions = new Map<string, Promise<OnResolveResult | undefined>>();
      build.onResolve({ filter: /^[^./]/ }, (args) => {
        const { path, kind, resolveDir } = args;
        if (args.pluginData === ASKING || kind === "entry-point") return undefined;
        const key = `${kind}\0${resolveDir}\0${path}\0${args.with["type"] ?? ""}`;
        const known = decisions.get(key);
        if (known !== undefined) return known;
        const decision = decide(args);
        decisions.set(key, decision);
        return decision;
      });

      async function decide(args: OnResolveArgs): Promise<OnResolveResult | undefined> {
        const { path, kind, resolveDir } = args;
        const name = toPackageName(path);
        const isAlias = path.startsWith("#");
        if (path === WORKERS_MODULE && IMPORTS.has(kind)) return toWorkersModule(links);
        if (name === null && !isAlias) return refuseScheme(path, kind);
        const answer = await ask(path, args);
        const dir = name === null ? null : await finder.find(name, resolveDir);
        if (answer.errors.length > 0 && path === OWN_NAME && dir === null)
          return toOwnApi(path, links);
        if (answer.errors.length > 0)
          return onUnresolved(args, { name, dir, answer, tsconfig, workingDir });
        const { path: file } = answer;
        if (answer.external || answer.namespace !== "file") return answer;
        if (isRuntimeCode(file) && dir === null) {
          return toExternal(links.note(toFileSpecifier(file, kind), { label: path, dir: null }));
        }
        if (process.versions["pnp"] !== undefined && /\.zip[/\\]|[/\\]\.yarn[/\\]/.test(file)) {
          return toExternal(links.note(path, { label: path, dir: null }));
        }
        const owner = isAlias ? packageDirOf(file) : dir;
        // An alias of tsconfig.json, or a project that imports itself by its name.
        if (owner === null || !file.startsWith(owner + sep)) return answer;
        if (await mustCompile(file, args, { owner, linked })) return answer;
        if (name === null) {
          return toExternal(links.note(toFileSpecifier(file, kind), { label: path, dir: owner }));
        }
        const specifier = await completeSpecifier(path, { name, owner, file, kind });
        return toExternal(await links.toSpecifier(specifier, { name, dir: owner }));
      }
    },
  };
}

async function onUnresolved(
  { path, kind, importer, resolveDir }: OnResolveArgs,
  found: {
    name: string | null;
    dir: string | null;
    answer: ResolveResult;
    tsconfig: string | null;
    workingDir: string;
  },
): Promise<OnResolveResult> {
  if (kind !== "import-statement") return toExternal(path);
  const { name, dir, answer, tsconfig, workingDir } = found;
  const text =
    name !== null && dir === null
      ? await describeMissing({ specifier: path, name, importer, resolveDir, tsconfig })
      : await describeUnresolved({
          specifier: path,
          name,
          dir,
          resolveDir,
          errors: answer.errors,
          workingDir,
        });
  return { errors: [{ text }] };
}

/**
 * Adds the extension that Node requires where a package has no `exports`: bundlers and TypeScript's
 * `moduleResolution: "bundler"` accept `lodash/merge`.
 */
async function completeSpecifier(
  specifier: string,
  {
    name,
    owner,
    file,
    kind,
  }: { name: string; owner: string; file: string; kind: OnResolveArgs["kind"] },
): Promise<string> {
  if (specifier === name || !IMPORTS.has(kind)) return specifier;
  const inside = `${name}/${relative(owner, file).split(sep).join("/")}`;
  if (inside === specifier) return specifier;
  const text = await readFile(join(owner, "package.json"), "utf8").catch(() => "");
  return hasExports(text) ? specifier : inside;
}

/** Returns whether the text of a `package.json` has `exports`, as Node sees it: `null` counts as none. */
function hasExports(text: string): boolean {
  try {
    const content: unknown = JSON.parse(text);
    return typeof content === "object" && content !== null && "exports" in content
      ? content.exports !== null
      : false;
  } catch {
    // Node reports it.
    return false;
  }
}

/** The name of this program's package. */
const OWN_NAME = "edgicorn";

/** Resolves `edgicorn` for a project without that package: `npx` or a global installation serves it. */
function toOwnApi(path: string, links: PackageLinks): OnResolveResult {
  return toExternal(links.note(import.meta.resolve(path), { label: path, dir: null }));
}

/** The module of Workers that this program has, too. */
const WORKERS_MODULE = "cloudflare:workers";

function toWorkersModule(links: PackageLinks): OnResolveResult {
  const file = import.meta.resolve(`${OWN_NAME}/cloudflare-workers`);
  return toExternal(links.note(file, { label: WORKERS_MODULE, dir: null }));
}

function refuseScheme(path: string, kind: ImportKind): OnResolveResult | undefined {
  const text = kind === "import-statement" ? describeWrongScheme(path) : null;
  if (text !== null) return { errors: [{ text }] };
  // Node refuses modules that esbuild does not know, at run time.
  return /^[\w+.-]+:/.test(path) && !path.startsWith("data:") ? toExternal(path) : undefined;
}

async function mustCompile(
  file: string,
  { kind, with: attributes }: OnResolveArgs,
  { owner, linked }: { owner: string; linked: LinkedSources },
): Promise<boolean> {
  if (COMPILED.test(file)) return true;
  // Without its attribute Node refuses it.
  if (extname(file) === ".json") return IMPORTS.has(kind) && attributes["type"] !== "json";
  return !isInNodeModules(file) && (await linked.needCompiler(file, owner));
}

export function isInNodeModules(file: string): boolean {
  return file.includes(`${sep}node_modules${sep}`);
}

/** The folder of the package that a file in `node_modules` belongs to. */
function packageDirOf(file: string): string | null {
  const marker = `${sep}node_modules${sep}`;
  const start = file.lastIndexOf(marker);
  if (start < 0) return null;
  const inside = file.slice(start + marker.length).split(sep);
  const depth = inside[0]?.startsWith("@") ? 2 : 1;
  return file.slice(0, start + marker.length) + inside.slice(0, depth).join(sep);
}

/** Returns a specifier for a file that is independent of the importing file. */
function toFileSpecifier(file: string, kind: ImportKind): string {
  return IMPORTS.has(kind) ? pathToFileURL(file).href : file;
}

function toExternal(path: string): OnResolveResult {
  return { path, external: true };
}
