import { isRecord, type JsonText, setJsonValue } from "./edit-json.ts";
import type { Template } from "./templates.ts";

/** The text of a tsconfig.json for the files of a template, and a report. */
export interface FittedTsconfig {
  text: string;
  /** Additions, for a person: `"handlers" to include`. */
  added: string[];
  /** Decisions that are left to a person, a sentence each. */
  notes: string[];
}

/** Files of Edgicorn that TypeScript checks, as `include` names them. */
const INCLUDED = ["handlers", "edgicorn.config.ts", "edgicorn-env.d.ts"];

/** For a project that has none. esbuild compiles the handlers, so the modules are those of a bundler. */
export const NEW_TSCONFIG = `${JSON.stringify(
  {
    compilerOptions: {
      target: "ES2023",
      lib: ["ES2023"],
      module: "Preserve",
      types: ["node"],
      jsx: "react-jsx",
      strict: true,
      noUncheckedIndexedAccess: true,
      verbatimModuleSyntax: true,
      isolatedModules: true,
      allowImportingTsExtensions: true,
      noEmit: true,
      skipLibCheck: true,
    },
  },
  null,
  2,
)}\n`;

/** Adds missing entries that cannot break a build, and reports the others. Keeps comments, order and form of the file. */
export function fitTsconfig(file: JsonText, template: Template): FittedTsconfig {
  let json = file;
  const added: string[] = [];
  const notes: string[] = [];
  const options = isRecord(json.value["compilerOptions"]) ? json.value["compilerOptions"] : {};
  const isAlone = json.value["extends"] === undefined;

  const missing = findNotIncluded(json.value);
  const shown = missing.map((name) => `"${name}"`).join(", ");
  if (missing.length > 0) {
    // With a root folder elsewhere, or files that are listed, adding a folder could break a build that works.
    if (Array.isArray(json.value["include"]) && options["rootDir"] === undefined) {
      for (const name of missing) json = setJsonValue(json, ["include", -1], name);
      added.push(`${shown} in include`);
    } else {
      notes.push(
        `tsc does not look at the handlers: include ${shown}, or give them a tsconfig.json`,
      );
    }
  }
  if (template.hasJsx && options["jsx"] === undefined) {
    if (isAlone) {
      json = setJsonValue(json, ["compilerOptions", "jsx"], "react-jsx");
      added.push('"jsx": "react-jsx"');
    } else {
      notes.push('compilerOptions need "jsx": "react-jsx", unless the extended file has it');
    }
  }
  if (template.importsTypeScript && options["allowImportingTsExtensions"] !== true) {
    const mayAdd =
      options["allowImportingTsExtensions"] === undefined && options["noEmit"] === true;
    if (mayAdd) {
      json = setJsonValue(json, ["compilerOptions", "allowImportingTsExtensions"], true);
      added.push('"allowImportingTsExtensions": true');
    } else {
      notes.push(
        'compilerOptions need "noEmit": true and "allowImportingTsExtensions": true for imports that end with .ts',
      );
    }
  }
  return { text: json.text, added, notes };
}

function findNotIncluded(value: Readonly<Record<string, unknown>>): string[] {
  const { include, files, references } = value;
  if (include === undefined) {
    const lists = files !== undefined || references !== undefined;
    return lists ? [...INCLUDED] : [];
  }
  const entries = Array.isArray(include) ? include.map(String) : [];
  return INCLUDED.filter((name) => !entries.some((entry) => covers(entry, name)));
}

/** Whether an entry of `include` reaches a file or folder of Edgicorn. */
function covers(entry: string, name: string): boolean {
  // `./handlers/**/*` and `handlers` are the same.
  const path = entry.replace(/^\.\//, "").replace(/\/(?:\*\*(?:\/\*)?)?$/, "");
  if (/^(?:|\.|\*\*(?:\/\*(?:\.tsx?)?)?)$/.test(path)) return true;
  if (/^\*(?:\.ts)?$/.test(path)) return name.endsWith(".ts");
  return path === name || path.startsWith(`${name}/`);
}
