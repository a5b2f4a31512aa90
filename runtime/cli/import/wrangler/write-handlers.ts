import { posix } from "node:path";
import { Section } from "../section.ts";
import { writeValue } from "../write-config.ts";
import type { First } from "./carry-assets.ts";
import { toExpressions } from "./path-expressions.ts";

/** Facts from which the modules of an import are written. */
export interface HandlerDraft {
  /** Cron expressions. */
  readonly schedules: string[];
  /** Values of `config.queue`, one of each queue. */
  readonly queues: Section[];
  /** Modules of other projects, by the paths of the handlers that export them. */
  readonly others: Map<string, string>;
  /** Requests that reach the module before the files. */
  first: First;
  /** Whether a page that a visitor opens is answered as an asset. */
  hasPages: boolean;
  /** Name of the binding of the assets that the modules use; `null`: they use none. */
  assets: string | null;
}

export interface HandlerPlace {
  /** Folder of the handlers. */
  readonly folder: string;
  /** Path of the module of Workers, with `/`, from the folder of the config. */
  readonly main: string;
  /** Name of the old config. */
  readonly source: string;
}

/** Returns the texts of the modules, by their paths from the folder of the config. */
export function writeHandlers(
  draft: HandlerDraft,
  { folder, main, source }: HandlerPlace,
): Map<string, string> {
  const files = new Map<string, string>();
  const set = (path: string, lines: readonly string[]): void => {
    files.set(path, [`// Made from ${source} by "edgicorn import".`, ...lines, ""].join("\n"));
  };
  const add = (name: string, lines: readonly string[]): void => {
    set(posix.join(folder, name), lines);
  };
  // First: a start without the own handlers fails.
  for (const [path, module] of draft.others) {
    set(path, [`export { default } from ${quote(importPath(posix.dirname(path), module))};`]);
  }
  const [queue, ...more] = draft.queues;
  add("[...path].js", [
    `export { default } from ${quote(importPath(folder, main))};`,
    ...writeOwnConfig(draft.schedules, queue),
  ]);
  for (const [index, other] of more.entries()) {
    add(`queue-${index + 2}.js`, [
      'import { run } from "./_module.js";',
      "",
      `export const config = { queue: ${writeValue(other, "")} };`,
      "",
      'export const queue = (batch, env, context) => run("queue", batch, env, context);',
    ]);
  }
  const folders = listFirstFolders(draft.first);
  const hasRoot = draft.assets !== null || folders.includes("");
  if (hasRoot) {
    add("_middleware.js", writeMiddleware(draft, { hasFiles: folders.includes("") }));
  }
  for (const each of folders) {
    if (each === "") continue;
    const up = posix.relative(each, ".");
    add(posix.join(each, "_middleware.js"), [
      `export { runFirst as default } from "${up}/_first.js";`,
      "",
      ...FILES_CONFIG,
    ]);
  }
  const hasFirst = folders.length > 0 || (draft.assets !== null && hasPatterns(draft.first));
  if (hasFirst) add("_first.js", writeFirst(draft.first));
  if (hasFirst || more.length > 0) add("_module.js", writeModule(importPath(folder, main)));
  return files;
}

const FILES_CONFIG = [
  "/** Requests for files of these paths run this, too. */",
  "export const config = { files: true };",
];

function importPath(folder: string, main: string): string {
  const path = posix.relative(folder, main);
  return path.startsWith("../") ? path : `./${path}`;
}

function writeOwnConfig(schedules: readonly string[], queue: Section | undefined): string[] {
  if (schedules.length === 0 && queue === undefined) return [];
  const config = new Section();
  const [only, ...others] = schedules;
  if (only !== undefined) config.set("schedule", others.length === 0 ? only : schedules);
  if (queue !== undefined) config.set("queue", queue);
  return ["", `export const config = ${writeValue(config, "")};`];
}

function hasPatterns(first: First): boolean {
  return first === "all" || first.paths.length > 0 || first.never.length > 0;
}

/**
 * Returns the folders whose files the module answers first: a folder of its own for each path, so that all other files need no
 * worker. Empty: the root.
 */
function listFirstFolders(first: First): string[] {
  if (first === "all") return [""];
  const folders = first.paths.map((pattern) => {
    const star = pattern.indexOf("*");
    const parts =
      star < 0 ? pattern.slice(1).split("/") : pattern.slice(1, star).split("/").slice(0, -1);
    // The names of other folders have a meaning for routes.
    const end = parts.findIndex((part) => !/^[a-z\d][\w-]*$/i.test(part));
    return parts.slice(0, end < 0 ? parts.length : end).join("/");
  });
  return folders.includes("") ? [""] : [...new Set(folders)];
}

function writeMiddleware(
  { first, hasPages, assets }: HandlerDraft,
  { hasFiles }: { hasFiles: boolean },
): string[] {
  const hasFirst = hasPatterns(first);
  const never = first !== "all" && (first.never.length > 0 || first.isOnly);
  const names = [...(hasFirst ? ["isFirst"] : []), ...(never ? ["isNever"] : [])];
  if (assets === null) {
    return ['export { runFirst as default } from "./_first.js";', "", ...FILES_CONFIG];
  }
  return [
    ...(hasFiles ? ['import { runFirst } from "./_first.js";'] : []),
    ...(names.length > 0 ? [`import { ${names.join(", ")} } from "./_first.js";`, ""] : []),
    ...(hasFiles ? [...FILES_CONFIG, ""] : []),
    "export default function (request, context, next) {",
    ...(never
      ? [`  if (isNever(request)) return context.env[${quote(assets)}].fetch(request);`]
      : []),
    ...(hasFirst
      ? [
          `  if (isFirst(request)) return ${hasFiles ? "runFirst(request, context, next)" : "next()"};`,
        ]
      : []),
    ...(hasPages
      ? [
          "  // A page that a visitor opens is an asset, also without a file of its path.",
          '  const isPage = request.headers.get("sec-fetch-mode") === "navigate";',
          '  const isRead = request.method === "GET" || request.method === "HEAD";',
          `  if (isPage && isRead) return context.env[${quote(assets)}].fetch(request);`,
        ]
      : []),
    "  return next();",
    "}",
  ];
}

function writeFirst(first: First): string[] {
  const isAll = first === "all";
  const { paths, never, isOnly } = isAll ? { paths: [], never: [], isOnly: false } : first;
  return [
    'import { run } from "./_module.js";',
    "",
    ...(isAll
      ? [
          "/** Tells whether the module answers before the files. */",
          "export const isFirst = () => true;",
        ]
      : [
          `const FIRST = [${toExpressions(paths)}];`,
          `const NEVER = [${toExpressions(never)}];`,
          "",
          "/** Tells whether the files answer, whether there is one or not. */",
          isOnly
            ? "export const isNever = (request) => matches(NEVER, request) || !matches(FIRST, request);"
            : "export const isNever = (request) => matches(NEVER, request);",
          "",
          "/** Tells whether the module answers before the files. */",
          "export const isFirst = (request) => matches(FIRST, request) && !isNever(request);",
          "",
          "function matches(expressions, request) {",
          "  const path = toPath(new URL(request.url).pathname);",
          "  return expressions.some((expression) => expression.test(path));",
          "}",
          "",
          "/** Returns the path under which a file is found, however the client writes it. */",
          "function toPath(pathname) {",
          '  return decode(pathname).replaceAll(/[/\\\\]+/g, "/");',
          "}",
          "",
          "function decode(pathname) {",
          "  try {",
          "    return decodeURIComponent(pathname);",
          "  } catch {",
          "    // A part of it is no text: the others are decoded all the same.",
          "    const toText = (_, code) => String.fromCharCode(Number.parseInt(code, 16));",
          "    return pathname.replaceAll(/%([0-7][\\da-f])/gi, toText);",
          "  }",
          "}",
        ]),
    "",
    "/** Lets the module answer in place of a file. Other requests reach it by their route. */",
    "export function runFirst(request, context, next) {",
    "  if (!isFirst(request)) return next();",
    '  return run("fetch", request, context.env, context);',
    "}",
  ];
}

function writeModule(path: string): string[] {
  return [
    `import worker from ${quote(path)};`,
    "",
    "/** Runs a function of the module, which is an object or a class. */",
    "export function run(name, argument, env, context) {",
    '  if (typeof worker === "function") return new worker(context, env)[name](argument);',
    "  return worker[name](argument, env, context);",
    "}",
  ];
}

function quote(text: string): string {
  return JSON.stringify(text);
}
