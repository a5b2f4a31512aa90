import { existsSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { parseEnvFile } from "../../../config/env-files.ts";
import { codeOf, RuntimeError } from "../../../lib/errors.ts";
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
  const missing: string[] = [];
  const bindings = config.get("bindings");
  for (const item of required) {
    const name = item.text();
    if (bindings instanceof Section && bindings.get(name) !== undefined) continue;
    const line = { ...item.where, text: `${item.path} ${name}` };
    const file = `${FOLDER}/${name}`;
    if (!bindSecret(name, file, { carrying, line })) continue;
    if (!existsSync(join(places.cwd, file))) {
      missing.push(file);
      report.todo(line, `write its value into the file ${file}`);
    }
  }
  keepFromCommits(files, { ...carrying, missing });
  return files;
}

/** Adds a `.gitignore`, so that no commit takes the values along, or asks the user to add lines to that of the folder. */
function keepFromCommits(
  files: Map<string, string>,
  { places, report, missing }: Carrying & { missing: readonly string[] },
): void {
  if (files.size === 0) return;
  const names = [...files.keys(), ...missing].map((file) => file.slice(FOLDER.length + 1));
  const file = `${FOLDER}/.gitignore`;
  const known = readIgnore(join(places.cwd, file));
  if (known !== null) {
    const open = names.filter((name) => !isIgnored(name, known));
    if (open.length === 0) return;
    report.todo(
      { place: file, text: open.join(", ") },
      "add lines with these names, so that no commit takes the values along",
    );
  } else if (existsSync(join(places.cwd, FOLDER))) {
    // The folder may have files that the project keeps.
    files.set(file, names.map((name) => `/${name}\n`).join(""));
  } else files.set(file, "*\n");
}

/** Returns the lines of a `.gitignore`; `null`: there is none. */
function readIgnore(path: string): string[] | null {
  if (!existsSync(path)) return null;
  try {
    return readFileSync(path, "utf8").split("\n");
  } catch {
    // A remark asks the user for the lines: none is known.
    return [];
  }
}

/** Whether the lines of a `.gitignore` surely cover a file beside it. */
function isIgnored(name: string, lines: readonly string[]): boolean {
  const patterns = lines.map((line) => line.trimEnd());
  const isExcepted = patterns.some(
    (pattern) => pattern.startsWith("!") && !/^!\/?\.gitignore$/.test(pattern),
  );
  const covering = ["*", "/*", "**", "/**", name, `/${name}`];
  return !isExcepted && patterns.some((pattern) => covering.includes(pattern));
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
    throw new RuntimeError("ERR_CONFIG", `Cannot read ${file}: ${codeOf(cause)}`, { cause });
  }
}
