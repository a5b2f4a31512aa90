import { extname } from "node:path";
import { SourceMap, type SourceMapPayload } from "node:module";

import { type Expression, parse, type Program } from "acorn";
import { type Loader, transform } from "esbuild";

import { isPoolName, POOL_NAME_EXPECTED } from "../lib/pool-name.ts";

/** The keys in a module's text that a build needs. Lines and columns count from 1. */
export type ConfigReading =
  | {
      ok: true;
      /** `null`: it names none. */
      pool: string | null;
      /** Whether the module, a middleware, guards files. */
      files: boolean;
    }
  | { ok: false; line: number; column: number; message: string };

/**
 * Reads `pool` and `files` out of `export const config = { ... }` without running the module.
 *
 * The pool decides which workers import the module, and `files` which requests run it, so both must be known before. They
 * have to be written as literals: a computed value is refused. A `config` that is no object literal, or is imported, counts
 * as having neither. A worker compares that with the value at run time (`load-handlers.ts`).
 *
 * @param text The module's source, as it is in the file.
 * @param path Its name, for its extension.
 */
export async function readConfig(text: string, path: string): Promise<ConfigReading> {
  // Nearly all modules end here.
  if (!/\b(?:pool|files)\b/.test(text) || !/\bconfig\b/.test(text)) return NONE;
  const plain = await toPlainScript(text, path);
  const config = plain === null ? null : findConfig(plain.program);
  if (plain === null || config === null) return NONE;
  const refuse = (value: Expression, message: string): ConfigReading => {
    return { ok: false, ...plain.locate(value), message };
  };
  const files = findKey(config, "files");
  const isGuard = files?.type === "Literal" ? files.value : files === null ? false : null;
  if (files !== null && typeof isGuard !== "boolean") {
    return refuse(files, "config.files is computed when the module runs, expected true or false");
  }
  const value = findKey(config, "pool");
  const pool = value === null ? null : readText(value);
  if (value !== null && (pool === null || !isPoolName(pool))) {
    const found = pool === null ? "computed when the module runs" : JSON.stringify(pool);
    const expected = pool === null ? 'a string such as "reports"' : POOL_NAME_EXPECTED;
    return refuse(value, `config.pool is ${found}, expected ${expected}`);
  }
  return { ok: true, pool, files: isGuard === true };
}

const NONE: ConfigReading = { ok: true, pool: null, files: false };

interface PlainScript {
  program: Program;
  /** Position of a node in the original. */
  locate: (node: Expression) => { line: number; column: number };
}

/** Removes types, JSX and syntax too new for a parser; `null` if it cannot be parsed, which the compiler reports. */
async function toPlainScript(text: string, path: string): Promise<PlainScript | null> {
  try {
    const { code, map } = await transform(text, {
      loader: LOADERS[extname(path)] ?? "ts",
      target: "es2022",
      jsx: "automatic",
      sourcemap: "external",
      logLevel: "silent",
    });
    const program = parse(code, { ecmaVersion: "latest", sourceType: "module", locations: true });
    // esbuild wrote it.
    const sourceMap = new SourceMap(JSON.parse(map) as SourceMapPayload);
    const locate = ({ loc }: Expression): { line: number; column: number } => {
      const entry = sourceMap.findEntry((loc?.start.line ?? 1) - 1, loc?.start.column ?? 0);
      const isKnown = "originalLine" in entry;
      return {
        line: isKnown ? entry.originalLine + 1 : 1,
        column: isKnown ? entry.originalColumn + 1 : 1,
      };
    };
    return { program, locate };
  } catch {
    // The compiler reports syntax errors, with their lines. CommonJS may contain syntax that is invalid in a module.
    return null;
  }
}

const LOADERS: Readonly<Record<string, Loader>> = {
  ".tsx": "tsx",
  ".js": "jsx",
  ".mjs": "jsx",
  ".cjs": "jsx",
  ".jsx": "jsx",
};

/** The value that the module exports as `config`, if that is written down in it. */
function findConfig({ body }: Program): Expression | null {
  let local: string | null = null;
  const declared = new Map<string, Expression>();
  for (const statement of body) {
    const declaration =
      statement.type === "ExportNamedDeclaration" ? statement.declaration : statement;
    if (declaration?.type === "VariableDeclaration") {
      for (const { id, init } of declaration.declarations) {
        if (id.type !== "Identifier" || init === null || init === undefined) continue;
        declared.set(id.name, init);
        if (statement !== declaration && id.name === "config") local = id.name;
      }
    }
    if (statement.type !== "ExportNamedDeclaration" || statement.source) continue;
    for (const { exported, local: inner } of statement.specifiers) {
      const isConfig = exported.type === "Identifier" && exported.name === "config";
      if (isConfig && inner.type === "Identifier") local = inner.name;
    }
  }
  return local === null ? null : (declared.get(local) ?? null);
}

/** The value of its last key of this name. */
function findKey(config: Expression, wanted: string): Expression | null {
  if (config.type !== "ObjectExpression") return null;
  for (const property of config.properties.toReversed()) {
    if (property.type !== "Property" || property.computed) continue;
    const { key } = property;
    const name = key.type === "Identifier" ? key.name : key.type === "Literal" ? key.value : null;
    if (name === wanted) return property.value;
  }
  return null;
}

function readText(value: Expression): string | null {
  if (value.type === "Literal") return typeof value.value === "string" ? value.value : null;
  if (value.type !== "TemplateLiteral" || value.expressions.length > 0) return null;
  return value.quasis[0]?.value.cooked ?? null;
}
