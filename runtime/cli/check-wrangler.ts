import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "../config/config.ts";
import { codeOf, RuntimeError } from "../lib/errors.ts";
import { readWrangler, WRANGLER_FILES } from "./import/wrangler/read-wrangler.ts";
import { describeLostBindings, findBindings } from "./wrangler-bindings.ts";

/**
 * Compares the file of a project for Workers, if there is one beside the config, with the `env` of handlers. Returns a line for
 * each binding that handlers would not find, or one for a file that cannot be read.
 */
export async function checkWranglerFile(
  { bindings, variables, envVariables }: Pick<Config, "bindings" | "variables" | "envVariables">,
  { cwd, env }: { cwd: string; env: NodeJS.ProcessEnv },
): Promise<string[]> {
  for (const file of WRANGLER_FILES) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- The first one counts.
      const text = await readText(cwd, file);
      if (text === null) continue;
      // oxlint-disable-next-line no-await-in-loop -- It returns.
      const found = findBindings(await readWrangler(text, file));
      const listed = Object.keys({ ...env, ...variables }).filter((name) =>
        isListed(name, envVariables),
      );
      const names = new Set([...listed, ...bindings.map(({ name }) => name)]);
      return describeLostBindings(found, { file, names });
    } catch (error) {
      // A start does not need the file.
      if (error instanceof RuntimeError) return [error.message];
      throw error;
    }
  }
  return [];
}

/** Returns the text of a file; `null`: there is none. @throws RuntimeError `ERR_CONFIG` for one that cannot be read. */
async function readText(cwd: string, file: string): Promise<string | null> {
  try {
    return await readFile(join(cwd, file), "utf8");
  } catch (cause) {
    const code = codeOf(cause);
    if (code === "ENOENT") return null;
    throw new RuntimeError("ERR_CONFIG", `Cannot read ${file}: ${code}`, { cause });
  }
}

function isListed(name: string, listed: readonly string[] | null): boolean {
  if (listed === null) return true;
  return listed.some((each) =>
    each.endsWith("*") ? name.startsWith(each.slice(0, -1)) : each === name,
  );
}
