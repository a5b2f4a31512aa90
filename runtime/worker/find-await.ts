import { readFile } from "node:fs/promises";
import { findSourceMap } from "node:module";
import { dirname } from "node:path";

import type { Node } from "acorn";

import { isUserCode, type SourcePosition, toPath } from "../lib/stack-frames.ts";

/**
 * Finds the `await` at the top level of a compiled module that has been loaded: nothing tells where a module waits that
 * never ends.
 *
 * @returns The only one; `null` when there are several, or none is known.
 */
export async function findTopLevelAwait(compiledFile: string): Promise<SourcePosition | null> {
  try {
    // Hardly ever needed, so it is not loaded with the worker.
    const { parse } = await import("acorn");
    const text = await readFile(compiledFile, "utf8");
    const program = parse(text, { ecmaVersion: "latest", sourceType: "module", locations: true });
    const [first, second] = findAwaits(program);
    if (first?.loc == null || second !== undefined) return null;
    const map = findSourceMap(compiledFile);
    const { line, column } = first.loc.start;
    const entry = map?.findEntry(line - 1, column);
    if (entry === undefined || !("originalSource" in entry)) return null;
    const file = toPath(entry.originalSource, dirname(compiledFile));
    if (!isUserCode(file)) return null;
    return { file, line: entry.originalLine + 1, column: entry.originalColumn + 1 };
  } catch {
    // The message names the file all the same.
    return null;
  }
}

/** In order; those in functions wait only when they are called. */
function findAwaits(node: Node): Node[] {
  if (/Function|^MethodDefinition$|^PropertyDefinition$/.test(node.type)) return [];
  const inner = Object.values(node).flatMap((value: unknown): Node[] => {
    const children: unknown[] = Array.isArray(value) ? value : [value];
    return children.flatMap((child) => (isNode(child) ? findAwaits(child) : []));
  });
  const waits =
    node.type === "AwaitExpression" ||
    (node.type === "ForOfStatement" && "await" in node && node.await === true);
  return waits ? [node, ...inner] : inner;
}

function isNode(value: unknown): value is Node {
  return (
    typeof value === "object" && value !== null && "type" in value && typeof value.type === "string"
  );
}
