import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";

import { toDisplayPath } from "../lib/display-path.ts";

/** The settings of TypeScript that count for the handlers. */
export interface Tsconfig {
  /** The file that esbuild must be told of; `null`: the nearest `tsconfig.json`, which it finds itself. */
  chosen: string | null;
  /** All files that were read. */
  files: string[];
  /** Files that others refer to, and that are not there. */
  missing: string[];
  /** Hash of their content; "" where there is none. */
  hash: string;
  warnings: string[];
}

const NONE: Tsconfig = { chosen: null, files: [], missing: [], hash: "", warnings: [] };

/** References to references beyond this depth are not followed. */
const DEEPEST = 5;

/**
 * Finds the `tsconfig.json` for the handlers: the nearest, or the project that it refers to and that has the handlers.
 *
 * A file that only has `references` says nothing of any source, so esbuild, which takes the nearest one, would know of
 * no alias.
 *
 * @param sourceDir Absolute.
 */
export async function findTsconfig(sourceDir: string): Promise<Tsconfig> {
  const nearest = await findNearest(sourceDir);
  if (nearest === null) return NONE;
  const reader = new Reader();
  const root = await reader.read(nearest);
  const used = (await pickReferenced(root, { sourceDir, reader, depth: 0 })) ?? root;
  const hash = createHash("sha256");
  for (const text of reader.texts.values()) hash.update(`${text.length}\n${text}`);
  return {
    chosen: used === root ? null : used.path,
    files: [...reader.texts.keys()],
    missing: [...reader.missing],
    hash: hash.digest("hex"),
    warnings: findWarnings(used, reader),
  };
}

/** A name for local files, from `paths` or `baseUrl`. */
export interface Alias {
  /** Has at most one `*`. */
  pattern: string;
  /** Absolute paths that the name may stand for, with `*` in the place of the pattern's. */
  targets: readonly string[];
}

/**
 * Reads the aliases of a `tsconfig.json`, as the compiler takes them for the sources of its folder.
 *
 * @returns The aliases, and all files that were read: itself and those that it extends.
 */
export async function readAliases(path: string): Promise<{ aliases: Alias[]; files: string[] }> {
  const reader = new Reader();
  const { options } = await reader.read(path);
  const place = ({ value, file }: { value: string; file: string }): string =>
    resolve(dirname(file), value.replaceAll("${configDir}", dirname(path)));
  const aliases: Alias[] = [];
  const baseUrl = options.get("baseUrl");
  const base =
    typeof baseUrl?.value === "string" ? place({ value: baseUrl.value, file: baseUrl.file }) : null;
  if (base !== null) aliases.push({ pattern: "*", targets: [join(base, "*")] });
  const paths = options.get("paths");
  for (const [pattern, targets] of Object.entries(isRecord(paths?.value) ? paths.value : {})) {
    const file = base === null ? (paths?.file ?? path) : join(base, "tsconfig.json");
    aliases.push({ pattern, targets: toTexts(targets).map((value) => place({ value, file })) });
  }
  return { aliases, files: [...reader.texts.keys()] };
}

/** Returns the paths that a name may stand for by an alias. */
export function toCandidates({ pattern, targets }: Alias, specifier: string): string[] {
  const [before = "", after] = pattern.split("*");
  if (after === undefined) return specifier === pattern ? [...targets] : [];
  const rest = specifier.length - before.length - after.length;
  if (rest < 0 || !specifier.startsWith(before) || !specifier.endsWith(after)) return [];
  const middle = specifier.slice(before.length, before.length + rest);
  return targets.map((target) => target.replace("*", () => middle));
}

async function findNearest(folder: string): Promise<string | null> {
  const path = join(folder, "tsconfig.json");
  if (await isFile(path)) return path;
  const parent = dirname(folder);
  return parent === folder ? null : findNearest(parent);
}

/** A file with the files that it extends. */
interface Project {
  path: string;
  /** Each option with the file that sets it. The last file wins. */
  options: Map<string, { value: unknown; file: string }>;
  /** References of the file itself: TypeScript does not inherit them. */
  references: string[];
  files: string[] | null;
  include: string[] | null;
  /** The folder that `include` is relative to. */
  includeFrom: string;
}

class Reader {
  readonly texts = new Map<string, string>();
  readonly missing = new Set<string>();

  async read(path: string, parents: readonly string[] = []): Promise<Project> {
    const text = await readFile(path, "utf8").catch(() => "{}");
    this.texts.set(path, text);
    const { parse } = await import("jsonc-parser");
    const value: unknown = parse(text, [], { allowTrailingComma: true });
    const json = isRecord(value) ? value : {};
    const project: Project = {
      path,
      options: new Map(),
      references: [],
      files: null,
      include: null,
      includeFrom: dirname(path),
    };
    for (const name of toTexts(json["extends"])) {
      const base = await resolveExtended(name, path);
      if (base === null || parents.includes(base)) continue;
      const { options, files, include, includeFrom } = await this.read(base, [...parents, path]);
      for (const [key, option] of options) project.options.set(key, option);
      if (files !== null) project.files = files;
      if (include !== null) Object.assign(project, { include, includeFrom });
    }
    const own = isRecord(json["compilerOptions"]) ? json["compilerOptions"] : {};
    for (const [key, each] of Object.entries(own)) {
      project.options.set(key, { value: each, file: path });
    }
    if (Array.isArray(json["files"])) project.files = toTexts(json["files"]);
    if (Array.isArray(json["include"])) {
      Object.assign(project, { include: toTexts(json["include"]), includeFrom: dirname(path) });
    }
    const references: unknown[] = Array.isArray(json["references"]) ? json["references"] : [];
    project.references = references.flatMap((each) =>
      isRecord(each) && typeof each["path"] === "string" ? [each["path"]] : [],
    );
    return project;
  }
}

/** Resolves `extends` like TypeScript: a path, or a file of a package. */
async function resolveExtended(name: string, from: string): Promise<string | null> {
  const folder = dirname(from);
  if (isAbsolute(name) || name.startsWith(".")) {
    const path = resolve(folder, name);
    return (await isFile(path)) || name.endsWith(".json") ? path : `${path}.json`;
  }
  const require = createRequire(from);
  for (const specifier of [name, `${name}.json`, `${name}/tsconfig.json`]) {
    try {
      const path = require.resolve(specifier);
      if (path.endsWith(".json")) return path;
    } catch {
      // The next form of the name; esbuild says so when there is none.
    }
  }
  return null;
}

/** The project that has the handlers; `null`: the file itself, or none that it refers to. */
async function pickReferenced(
  project: Project,
  { sourceDir, reader, depth }: { sourceDir: string; reader: Reader; depth: number },
): Promise<Project | null> {
  const { references, files, include, options, path } = project;
  const isSolution = files?.length === 0 || include?.length === 0 || options.size === 0;
  if (references.length === 0 || !isSolution || depth >= DEEPEST) return null;
  const found: Project[] = [];
  for (const reference of references) {
    const target = resolve(dirname(path), reference);
    const file = (await isFile(target)) ? target : join(target, "tsconfig.json");
    if (file !== target) reader.missing.add(target);
    if (!(await isFile(file))) {
      reader.missing.add(file);
      continue;
    }
    const referenced = await reader.read(file);
    const inner = await pickReferenced(referenced, { sourceDir, reader, depth: depth + 1 });
    found.push(inner ?? referenced);
  }
  return (
    found.find((each) => includes(each, sourceDir)) ??
    found.find(({ options: inner }) => inner.has("paths")) ??
    null
  );
}

/** Whether a project may have files of a folder. Wildcards are taken to match anything. */
function includes({ files, include, includeFrom }: Project, sourceDir: string): boolean {
  const patterns = include ?? (files === null ? ["."] : []);
  return patterns.some((pattern) => {
    const base = pattern.replaceAll("${configDir}", includeFrom).replace(/[^/]*[*?].*$/, "");
    const folder = resolve(includeFrom, base === "" ? "." : base);
    return isWithin(sourceDir, folder) || isWithin(folder, sourceDir);
  });
}

function isWithin(path: string, folder: string): boolean {
  const inside = relative(folder, path);
  return (
    inside === "" || (inside !== ".." && !inside.startsWith(`..${sep}`) && !isAbsolute(inside))
  );
}

function findWarnings({ options }: Project, reader: Reader): string[] {
  const metadata = options.get("emitDecoratorMetadata");
  if (metadata?.value !== true) return [];
  const { file } = metadata;
  const lines = (reader.texts.get(file) ?? "").split("\n");
  const line = lines.findIndex((each) => each.includes('"emitDecoratorMetadata"')) + 1;
  return [
    `${toDisplayPath(file)}:${line}: emitDecoratorMetadata has no effect: handlers are compiled file by file, without types, so injection by type gets undefined (NestJS, TypeORM, tsyringe). Name the type in the decorator, such as @Inject(Service), or compile that code with tsc and import its output`,
  ];
}

async function isFile(path: string): Promise<boolean> {
  const stats = await stat(path).catch(() => null);
  return stats?.isFile() === true;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function toTexts(value: unknown): string[] {
  const list: unknown[] = Array.isArray(value) ? value : [value];
  return list.filter((each) => typeof each === "string");
}
