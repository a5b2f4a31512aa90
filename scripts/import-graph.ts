import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** One import of a module. */
export interface ModuleImport {
  /** The text between the quotes. */
  specifier: string;
  /** Path of the imported file, joined to the importer's folder; `null` for a package. */
  file: string | null;
  /** Whether it is an import of types, which does not exist at run time. */
  isType: boolean;
  /** Whether it is an `import()`, which loads the module when the call runs. */
  isLater: boolean;
}

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s+(type\s+)?(?:[^;"']*?\sfrom\s+)?"([^"]+)"|import\("([^"]+)"\)/g;

/** Reads the imports of a TypeScript file, dynamic ones with a literal included. A file that is missing has none. */
export function readImports(file: string): ModuleImport[] {
  let source: string;
  try {
    source = readFileSync(file, "utf8");
  } catch {
    // The compiler reports it.
    return [];
  }
  return [...source.matchAll(IMPORT)].map(([, type, named, dynamic]) => {
    const specifier = named ?? dynamic ?? "";
    const isLocal = specifier.startsWith(".");
    return {
      specifier,
      file: isLocal ? normalize(join(dirname(file), specifier)) : null,
      isType: type !== undefined,
      isLater: dynamic !== undefined,
    };
  });
}

/** Follows imports from file to file. Reads each file once. */
export class ImportGraph {
  readonly #imports = new Map<string, ModuleImport[]>();

  importsOf(file: string): readonly ModuleImport[] {
    let imports = this.#imports.get(file);
    if (imports === undefined) this.#imports.set(file, (imports = readImports(file)));
    return imports;
  }

  /**
   * Returns the file itself and all local files that it needs at run time, directly or through others. `atOnce`: only the
   * files that load with it.
   */
  reachedFrom(file: string, { atOnce = false } = {}): ReadonlySet<string> {
    const reached = new Set([file]);
    // Iterating a set also yields members that are added meanwhile.
    for (const next of reached) {
      for (const { file: imported, isType, isLater } of this.importsOf(next)) {
        if (imported !== null && !isType && !(atOnce && isLater)) reached.add(imported);
      }
    }
    return reached;
  }
}
