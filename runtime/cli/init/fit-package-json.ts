import { isRecord, type JsonText, setJsonValue, setSorted } from "./edit-json.ts";
import type { Template } from "./templates.ts";

/** Scripts of a project. */
const SCRIPTS = {
  dev: "edgicorn dev",
  start: "edgicorn start",
  check: "tsc --noEmit && edgicorn check",
} as const;

export type ScriptName = keyof typeof SCRIPTS;

/** A package.json with the scripts and packages of a project. */
export interface FittedPackageJson {
  text: string;
  /** Additions, for a person: `script dev`, `dependency hono`. */
  added: string[];
  /** Scripts that do something else, and stay. */
  foreign: ScriptName[];
  /** Whether the project says that it depends on Edgicorn. */
  hasEdgicorn: boolean;
}

/** Returns the text of a new package.json, before scripts and packages are added. */
export function newPackageJson(folderName: string): string {
  const name = folderName
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, "-")
    .replaceAll(/^-+|-+$/g, "");
  const description = { name: name || "my-site", private: true, type: "module" };
  return `${JSON.stringify(description, null, 2)}\n`;
}

/** Adds scripts and packages that are missing. Changes nothing that is there. */
export function fitPackageJson(file: JsonText, template: Template): FittedPackageJson {
  let json = file;
  const added: string[] = [];
  const foreign: ScriptName[] = [];
  const has = (group: string, name: string): boolean => {
    const entries = json.value[group];
    return isRecord(entries) && Object.hasOwn(entries, name);
  };
  // npm writes a file with dependencies only where there was none.
  if (Object.keys(json.value).every((key) => /^(?:devD|d)ependencies$/.test(key))) {
    json = setJsonValue(json, ["private"], true);
    json = setJsonValue(json, ["type"], "module");
    added.push('"type": "module"');
  }
  for (const [name, command] of Object.entries(SCRIPTS)) {
    if (!has("scripts", name)) {
      json = setJsonValue(json, ["scripts", name], command);
      added.push(`script ${name}`);
    } else if (!String(scriptOf(json, name)).includes(`edgicorn ${name}`)) {
      // The entries have exactly these names.
      foreign.push(name as ScriptName);
    }
  }
  for (const group of ["dependencies", "devDependencies"] as const) {
    for (const [name, version] of Object.entries(template[group])) {
      if (GROUPS.some((other) => has(other, name))) continue;
      json = setSorted(json, [group, name], version);
      added.push(`${group === "dependencies" ? "dependency" : "devDependency"} ${name}`);
    }
  }
  const hasEdgicorn =
    GROUPS.some((group) => has(group, "edgicorn")) || json.value["name"] === "edgicorn";
  return { text: json.text, added, foreign, hasEdgicorn };
}

const GROUPS = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"];

function scriptOf({ value }: JsonText, name: string): unknown {
  return isRecord(value["scripts"]) ? value["scripts"][name] : undefined;
}
