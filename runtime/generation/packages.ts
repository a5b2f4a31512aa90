import { readFile, realpath } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { basename, dirname, join } from "node:path";

/**
 * Returns the package's name in an import such as `@scope/name/part`; `null` for built-ins, URLs, `#imports`, paths,
 * and for the `<runtime>` that esbuild lists as an import of its generated code.
 */
export function toPackageName(specifier: string): string | null {
  if (isBuiltin(specifier) || /^(?:[./#<]|[A-Za-z][\w+.-]*:)/.test(specifier)) return null;
  return /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? null;
}

/** Finds packages the way Node does: in the `node_modules` of a folder or of one above. Caches the results. */
export class PackageFinder {
  readonly #found = new Map<string, Promise<string | null>>();
  readonly #asked = new Map<string, { name: string; from: string }>();
  readonly #versions = new Map<string, Promise<string>>();

  /** Returns the real folder of the package that files in the folder `from` see under a name. */
  find(name: string, from: string): Promise<string | null> {
    this.#asked.set(`${from}\0${name}`, { name, from });
    return this.#findCached(name, from);
  }

  /** Returns all calls of `find` so far, with their results. */
  async lookups(): Promise<{ name: string; from: string; dir: string | null }[]> {
    return Promise.all(
      [...this.#asked.values()].map(async ({ name, from }) => ({
        name,
        from,
        dir: await this.#findCached(name, from),
      })),
    );
  }

  /** The version in the package's own package.json; "" if it has none. */
  version(packageDir: string): Promise<string> {
    let version = this.#versions.get(packageDir);
    if (!version) {
      version = readDescription(packageDir).then((description) => description?.version ?? "");
      this.#versions.set(packageDir, version);
    }
    return version;
  }

  #findCached(name: string, from: string): Promise<string | null> {
    const key = `${from}\0${name}`;
    let found = this.#found.get(key);
    if (!found) {
      found = this.#find(name, from);
      this.#found.set(key, found);
    }
    return found;
  }

  async #find(name: string, from: string): Promise<string | null> {
    if (basename(from) !== "node_modules") {
      const found = await realpath(join(from, "node_modules", name)).catch(() => null);
      if (found !== null) return found;
    }
    const parent = dirname(from);
    return parent === from ? null : this.#findCached(name, parent);
  }
}

/** The name of the package that a folder belongs to: its code may import itself by name. */
export async function findOwnName(folder: string): Promise<string | null> {
  const description = await readDescription(folder);
  if (description !== null) return description.name;
  const parent = dirname(folder);
  return parent === folder ? null : findOwnName(parent);
}

async function readDescription(folder: string): Promise<{ name: string; version: string } | null> {
  const text = await readFile(join(folder, "package.json"), "utf8").catch(() => null);
  if (text === null) return null;
  try {
    const description: unknown = JSON.parse(text);
    return { name: readText(description, "name"), version: readText(description, "version") };
  } catch {
    // Node reports the problem when it loads that package.
    return null;
  }
}

function readText(value: unknown, key: string): string {
  if (typeof value !== "object" || value === null) return "";
  const field: unknown = Reflect.get(value, key);
  return typeof field === "string" ? field : "";
}
