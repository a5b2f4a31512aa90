import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "../config/config.ts";
import { describeLostBindings, findInJson, findInToml } from "./wrangler-bindings.ts";

/** In the order in which Workers' own tool looks for them. */
const FILES = ["wrangler.json", "wrangler.jsonc", "wrangler.toml"];

/**
 * Compares the file of a project for Workers, if there is one beside the config, with the `env` of handlers. Returns a line for
 * each binding that handlers would not find.
 */
export async function checkWranglerFile(
  { bindings, variables, envVariables }: Pick<Config, "bindings" | "variables" | "envVariables">,
  { cwd, env }: { cwd: string; env: NodeJS.ProcessEnv },
): Promise<string[]> {
  for (const file of FILES) {
    // oxlint-disable-next-line no-await-in-loop -- The first one counts.
    const text = await readFile(join(cwd, file), "utf8").catch(() => null);
    if (text === null) continue;
    const listed = Object.keys({ ...env, ...variables }).filter((name) =>
      isListed(name, envVariables),
    );
    const names = new Set([...listed, ...bindings.map(({ name }) => name)]);
    // oxlint-disable-next-line no-await-in-loop -- It returns.
    const found = file.endsWith(".toml") ? findInToml(text) : await readJson(text);
    return describeLostBindings(found, { file, names });
  }
  return [];
}

async function readJson(text: string): Promise<ReturnType<typeof findInJson>> {
  const { parseTree } = await import("jsonc-parser");
  return findInJson(parseTree(text, [], { allowTrailingComma: true }), text);
}

function isListed(name: string, listed: readonly string[] | null): boolean {
  if (listed === null) return true;
  return listed.some((each) =>
    each.endsWith("*") ? name.startsWith(each.slice(0, -1)) : each === name,
  );
}
