import { randomUUID } from "node:crypto";
import { type Dirent, existsSync, readdirSync, readFileSync } from "node:fs";
import { link, mkdir, open, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, parse } from "node:path";
import { fileURLToPath } from "node:url";
import { findConfigFile } from "../../config/config-file.ts";
import { RuntimeError } from "../../lib/errors.ts";
import { isRecord, type JsonText, parseJsonText } from "./edit-json.ts";
import { fitGitignore } from "./fit-gitignore.ts";
import { fitPackageJson, newPackageJson, type ScriptName } from "./fit-package-json.ts";
import { fitTsconfig, NEW_TSCONFIG } from "./fit-tsconfig.ts";
import { type Template, type TemplateName, TEMPLATES } from "./templates.ts";

/** Source and compiled code have the folder beside them: scripts/build.mjs copies it. */
const TEMPLATES_DIR = fileURLToPath(new URL("./templates", import.meta.url));

export interface InitOptions {
  /** Absolute path of the project's folder. */
  dir: string;
  /** `null`: the first template, and its handler only where the project has none. */
  template: TemplateName | null;
}

/** One line of the report. */
interface Step {
  did: "created" | "added" | "kept" | "note";
  /** Path and more, for a person. */
  text: string;
  /** The file to write; `null`: none. */
  write: { path: string; text: string; isNew: boolean } | null;
}

/**
 * Makes a folder a project: a handler, a config file, scripts, types, ignored files. Replaces no existing file.
 *
 * All files are read before the first one is written, so a refusal leaves the folder as it was.
 *
 * @returns The report for standard output.
 * @throws ERR_CONFIG when an existing file cannot be read, or a file cannot be written.
 */
export async function initProject({ dir, template: wanted }: InitOptions): Promise<string> {
  const name = wanted ?? "hello";
  const template = TEMPLATES[name];
  const packageJson = planPackageJson(dir, template);
  const steps = [
    ...planTemplate(dir, name, wanted !== null),
    ...planConfigFile(dir),
    ...planFile(dir, "edgicorn-env.d.ts", readTemplate("common", "edgicorn-env.d.ts")),
    ...packageJson.steps,
    ...planTsconfig(dir, template),
    ...planGitignore(dir),
  ];
  const lines: string[] = [];
  for (const { did, text, write } of steps) {
    const isKept = write !== null && !(await writeStep(write));
    lines.push(`${(isKept ? "kept" : did).padEnd(9)}${text}`);
  }
  const next = packageJson.next.map((line) => `  ${line}`);
  return [...lines, "", "Next:", ...next, ...packageJson.hints, ""].join("\n");
}

/** Endings of handlers: two files that differ only in them would answer the same route. */
const HANDLER_EXTENSIONS = [".ts", ".tsx", ".mts", ".js", ".jsx", ".mjs", ".cjs"];

function planTemplate(dir: string, name: TemplateName, isWanted: boolean): Step[] {
  // A project with handlers names the template that it wants. Otherwise our handler could hide one of its own.
  if (!isWanted && listFiles(join(dir, "handlers")).length > 0) return [kept("handlers/")];
  return listFiles(join(TEMPLATES_DIR, name)).flatMap((path) => {
    const { dir: folder, name: stem, ext } = parse(path);
    const same = HANDLER_EXTENSIONS.map((other) => join(folder, stem + other)).find((other) =>
      existsSync(join(dir, other)),
    );
    if (folder.startsWith("handlers") && HANDLER_EXTENSIONS.includes(ext) && same !== undefined) {
      return [kept(same)];
    }
    return planFile(dir, path, readTemplate(name, path));
  });
}

function planConfigFile(dir: string): Step[] {
  const found = findConfigFile(dir);
  if (found !== null) return [kept(basename(found))];
  const name = "edgicorn.config.ts";
  return planFile(dir, name, readTemplate("common", name));
}

function planPackageJson(
  dir: string,
  template: Template,
): { steps: Step[]; next: string[]; hints: string[] } {
  const path = join(dir, "package.json");
  const source = readIfThere(path);
  const parsed = parseJsonText(source ?? newPackageJson(basename(dir)), { comments: false });
  if (!("value" in parsed)) {
    const { line, column, expected } = parsed;
    throw new RuntimeError(
      "ERR_CONFIG",
      `Cannot add scripts to package.json: found no JSON at package.json:${line}:${column} (${expected}), expected a JSON object; nothing was written`,
    );
  }
  refuseOddGroups(parsed);
  const { text, added, foreign, hasEdgicorn } = fitPackageJson(parsed, template);
  const steps =
    source !== null && added.length === 0
      ? [kept("package.json")]
      : [change({ path, shown: "package.json", text, isNew: source === null, added })];
  const hints = hintsFor(parsed);
  const manager = findPackageManager(dir);
  const packages = Object.keys({ ...template.dependencies, ...template.devDependencies });
  const isMissing = packages.some((name) => !isInstalled(dir, name));
  const run = (name: ScriptName): string =>
    foreign.includes(name) ? `npx edgicorn ${name}` : `${manager} run ${name}`;
  for (const name of foreign) {
    steps.push({
      did: "note",
      text: `package.json has another script "${name}": run npx edgicorn ${name}`,
      write: null,
    });
  }
  if (!hasEdgicorn) {
    steps.push({ did: "note", text: "package.json does not depend on edgicorn yet", write: null });
    return {
      steps,
      next: [`${manager} ${ADD[manager]} TARBALL_OR_GIT_URL_OF_EDGICORN`, run("dev")],
      hints,
    };
  }
  return { steps, next: [isMissing ? `${manager} install` : run("check"), run("dev")], hints };
}

/** Frameworks whose applications take `(req, res)`, by package, and their sections in docs/recipes.md. */
const NODE_FRAMEWORKS: ReadonlyMap<string, string> = new Map([
  ["@nestjs/core", "nestjs"],
  ["express", "express"],
  ["fastify", "fastify"],
  ["koa", "koa"],
]);

/** Returns lines about an application in the project that needs `fromNode`. NestJS brings Express, so the first match counts. */
function hintsFor({ value }: JsonText): string[] {
  const { dependencies } = value;
  if (!isRecord(dependencies)) return [];
  for (const [name, section] of NODE_FRAMEWORKS) {
    if (!Object.hasOwn(dependencies, name)) continue;
    return [
      "",
      `package.json has ${name}: handlers/[...path].js with "export default fromNode(app)" makes`,
      "a handler of its application. Delete handlers/index.ts then, if it is init's: it answers /.",
      `The files to write: node_modules/edgicorn/docs/recipes.md#${section}`,
    ];
  }
  return [];
}

/** Refuses a file that npm refuses too: an edit would not find its place in it. */
function refuseOddGroups({ value }: JsonText): void {
  for (const group of ["scripts", "dependencies", "devDependencies"]) {
    const entries = value[group];
    const isGroup = typeof entries === "object" && entries !== null && !Array.isArray(entries);
    if (entries === undefined || isGroup) continue;
    throw new RuntimeError(
      "ERR_CONFIG",
      `Cannot add to "${group}" of package.json: found ${JSON.stringify(entries)}, expected an object; nothing was written`,
    );
  }
}

/** Whether Node finds a package from a folder. */
function isInstalled(dir: string, name: string): boolean {
  if (existsSync(join(dir, "node_modules", name))) return true;
  const parent = dirname(dir);
  return parent !== dir && isInstalled(parent, name);
}

const ADD = { npm: "install", pnpm: "add", yarn: "add", bun: "add" } as const;

function findPackageManager(dir: string): keyof typeof ADD {
  if (existsSync(join(dir, "pnpm-lock.yaml"))) return "pnpm";
  if (existsSync(join(dir, "yarn.lock"))) return "yarn";
  return existsSync(join(dir, "bun.lock")) ? "bun" : "npm";
}

function planTsconfig(dir: string, template: Template): Step[] {
  const path = join(dir, "tsconfig.json");
  const source = readIfThere(path);
  if (source === null) return planFile(dir, "tsconfig.json", NEW_TSCONFIG);
  const parsed = parseJsonText(source, { comments: true });
  if (!("value" in parsed)) {
    const { line, column, expected } = parsed;
    const found = `tsconfig.json:${line}:${column} cannot be read (${expected})`;
    const needs = `it should include "handlers", "edgicorn.config.ts", "edgicorn-env.d.ts"`;
    return [kept("tsconfig.json"), { did: "note", text: `${found}; ${needs}`, write: null }];
  }
  const { text, added, notes } = fitTsconfig(parsed, template);
  const step =
    added.length === 0
      ? kept("tsconfig.json")
      : change({ path, shown: "tsconfig.json", text, isNew: false, added });
  return [
    step,
    ...notes.map((note): Step => ({ did: "note", text: `tsconfig.json: ${note}`, write: null })),
  ];
}

function planGitignore(dir: string): Step[] {
  const path = join(dir, ".gitignore");
  const source = readIfThere(path);
  const { text, added } = fitGitignore(source ?? "");
  if (added.length === 0) return [kept(".gitignore")];
  return [change({ path, shown: ".gitignore", text, isNew: source === null, added })];
}

function planFile(dir: string, shown: string, text: string): Step[] {
  const path = join(dir, shown);
  return existsSync(path) ? [kept(shown)] : [change({ path, shown, text, isNew: true, added: [] })];
}

function kept(text: string): Step {
  return { did: "kept", text, write: null };
}

function change(options: {
  path: string;
  shown: string;
  text: string;
  isNew: boolean;
  added: readonly string[];
}): Step {
  const { path, shown, text, isNew, added } = options;
  const line = isNew ? shown : `${shown}: ${added.join(", ")}`;
  return { did: isNew ? "created" : "added", text: line, write: { path, text, isNew } };
}

/** Returns whether the file was written. Keeps a file that another process has created since the plan was made. */
async function writeStep({ path, text, isNew }: NonNullable<Step["write"]>): Promise<boolean> {
  try {
    await mkdir(dirname(path), { recursive: true });
    if (isNew) return await createWhole(path, text);
    await replaceText(path, text);
    return true;
  } catch (cause) {
    throw toRefusal("write", path, cause);
  }
}

/**
 * Creates a file in one step: another `init`, which may run at the same time, sees its whole text or no file.
 *
 * @returns `false` when the file exists already. It stays as it is.
 */
async function createWhole(path: string, text: string): Promise<boolean> {
  const draft = `${path}.${process.pid}.${randomUUID().slice(0, 8)}.tmp`;
  try {
    await writeFile(draft, text, { flag: "wx" });
    await link(draft, path);
    return true;
  } catch (error) {
    const code = codeOf(error);
    if (code === "EEXIST") return false;
    if (code === undefined || !NO_LINKS.includes(code)) throw error;
    return await createDirectly(path, text);
  } finally {
    await rm(draft, { force: true });
  }
}

/** Codes of file systems without hard links, such as those of USB sticks and of some shared folders. */
const NO_LINKS = ["EPERM", "ENOTSUP", "ENOSYS", "EMLINK"];

async function createDirectly(path: string, text: string): Promise<boolean> {
  try {
    await writeFile(path, text, { flag: "wx" });
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  }
}

/** Overwrites a file, which keeps its owner and mode. Another process never reads an empty file. */
async function replaceText(path: string, text: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.writeFile(text);
    await file.truncate(Buffer.byteLength(text));
  } finally {
    await file.close();
  }
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw toRefusal("read", path, error);
  }
}

function toRefusal(verb: "read" | "write", path: string, cause: unknown): RuntimeError {
  const why = REASONS[codeOf(cause) ?? ""] ?? String(cause);
  return new RuntimeError("ERR_CONFIG", `Cannot ${verb} ${path}: ${why}`, { cause });
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "found no permission, expected a file and a folder that this user may change",
  EPERM: "found no permission, expected a file and a folder that this user may change",
  EROFS: "found a file system that is read-only, expected one that can be written",
  EISDIR: "found a folder, expected a file",
  ENOTDIR: "found a file where a folder is needed, expected a folder",
  EEXIST: "found a file where a folder is needed, expected a folder",
  ENOSPC: "found no space left on the disk, expected some",
};

function codeOf(error: unknown): string | undefined {
  // Errors of the file system have one.
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}

/** Returns the text of a file that `init` copies into a project. */
export function readTemplate(template: string, path: string): string {
  return readFileSync(join(TEMPLATES_DIR, template, path), "utf8");
}

/** Files below a folder, relative to it, sorted; none if there is no such folder. */
function listFiles(dir: string): string[] {
  if (!existsSync(dir)) return [];
  let entries: Dirent[];
  try {
    entries = readdirSync(dir, { recursive: true, withFileTypes: true });
  } catch (error) {
    throw toRefusal("read", dir, error);
  }
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(dir.length + 1))
    .toSorted();
}
