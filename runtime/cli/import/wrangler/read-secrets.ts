import { existsSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { parseEnvFile } from "../../../config/env-files.ts";
import { RuntimeError } from "../../../lib/errors.ts";
import { Section } from "../section.ts";
import type { Carrying } from "./carrying.ts";
import { Table } from "./item.ts";
import { setBinding } from "./set-binding.ts";

/** Folder of the files of secrets. */
const FOLDER = "secrets";

/**
 * Adds a binding for each secret that `.dev.vars` or the key `secrets` names. The new config has their names only.
 *
 * @returns The texts of the files of secrets that are not there yet, by their paths from the folder of the config.
 */
export function addSecrets(carrying: Carrying): Map<string, string> {
  const { config, keys, places, report } = carrying;
  const root = keys.get("secrets");
  const required = root === undefined ? [] : (new Table(root).get("required")?.list() ?? []);
  const found = readDevVars(carrying);
  const files = new Map<string, string>();
  const taken = new Set(keys.get("vars")?.table().keys() ?? []);
  for (const [name, value] of Object.entries(found?.values ?? {})) {
    const line = { place: found?.file ?? "", text: name };
    if (taken.has(name)) {
      report.unused(line, "the value of vars holds: that of this file is for development only");
      continue;
    }
    const file = `${FOLDER}/${name}`;
    if (!bindSecret(name, file, { carrying, line })) continue;
    // The server takes the last line end off.
    if (!existsSync(join(places.cwd, file))) files.set(file, `${value}\n`);
  }
  if (files.size > 0) {
    report.todo(
      { place: found?.file ?? "", text: [...files.keys()].join(", ") },
      "these files have the values for development: write those of production into them",
    );
  }
  const bindings = config.get("bindings");
  for (const item of required) {
    const name = item.text();
    if (bindings instanceof Section && bindings.get(name) !== undefined) continue;
    const line = { ...item.where, text: `${item.path} ${name}` };
    const file = `${FOLDER}/${name}`;
    if (!bindSecret(name, file, { carrying, line })) continue;
    if (!existsSync(join(places.cwd, file))) {
      report.todo(line, `write its value into the file ${file}`);
    }
  }
  // No commit takes the values along.
  if (files.size > 0 && !existsSync(join(places.cwd, FOLDER))) {
    files.set(`${FOLDER}/.gitignore`, "*\n");
  }
  return files;
}

function bindSecret(
  name: string,
  file: string,
  { carrying, line }: { carrying: Carrying; line: { place: string; text: string } },
): boolean {
  const before = carrying.config.get("bindings");
  const size = before instanceof Section ? before.size : 0;
  const item = { where: line };
  setBinding(name, new Section({ secret: file }), { ...carrying, item });
  const after = carrying.config.get("bindings");
  return after instanceof Section && after.size > size;
}

/** Reads `.dev.vars.NAME` of the environment, or else `.dev.vars`. `null`: there is none. */
function readDevVars({
  places,
}: Carrying): { file: string; values: Record<string, string> } | null {
  const { folder, environment, cwd } = places;
  const names = [...(environment === null ? [] : [`.dev.vars.${environment}`]), ".dev.vars"];
  const path = names.map((name) => join(folder, name)).find((each) => existsSync(each));
  if (path === undefined) return null;
  const file = relative(cwd, path).split(sep).join("/");
  try {
    return { file, values: parseEnvFile(readFileSync(path, "utf8")) };
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "an error";
    throw new RuntimeError("ERR_CONFIG", `Cannot read ${file}: ${code}`, { cause });
  }
}
