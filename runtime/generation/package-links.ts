import { createHash } from "node:crypto";
import { mkdir, symlink } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";

import type { PackageFinder } from "./packages.ts";

/** A package that compiled code asks Node for. */
export interface LinkedPackage {
  /** The name in the sources, independent of the place of the project. */
  label: string;
  /** Real folder; `null`: known to the package manager only (Yarn's Plug'n'Play). */
  dir: string | null;
}

/**
 * Makes compiled modules see the packages that their sources saw.
 *
 * Node looks beside and above the file that imports, and compiled files live elsewhere. Mostly that is below the
 * project, where the answer is the same; but the state folder can be anywhere, and a source can have a `node_modules`
 * of its own. Where the answers differ, the generation gets a link. Where two sources see different copies under one
 * name, compiled code imports one copy by another name, `v~1a2b3c4d`, which is a link too. Node still resolves the
 * subpath and the conditions of the import. Each copy stays one instance, since Node identifies modules by real paths.
 */
export class PackageLinks {
  readonly #generationDir: string;
  readonly #sourceDir: string;
  readonly #finder: PackageFinder;
  /** Packages that the generation sees under names that no folder above it has. */
  readonly #own = new Map<string, string>();
  /** The packages to link, by their names in the generation. */
  readonly #links = new Map<string, string>();
  readonly #packages = new Map<string, LinkedPackage>();

  constructor(options: { generationDir: string; sourceDir: string; finder: PackageFinder }) {
    this.#generationDir = options.generationDir;
    this.#sourceDir = options.sourceDir;
    this.#finder = options.finder;
  }

  /** Packages by the specifiers that compiled code imports. */
  get packages(): ReadonlyMap<string, LinkedPackage> {
    return this.#packages;
  }

  /**
   * Returns a specifier for compiled code that leads to the same package as the source's specifier.
   *
   * @param specifier Begins with `name`: `v/part`.
   * @param dir Real folder of the package that the source sees.
   */
  async toSpecifier(
    specifier: string,
    { name, dir }: { name: string; dir: string },
  ): Promise<string> {
    const seen = await this.#finder.find(name, this.#generationDir);
    const preferred = await this.#finder.find(name, this.#sourceDir);
    if (seen === dir) return this.note(specifier, { label: specifier, dir });
    if (seen === null) {
      const own = this.#own.get(name) ?? preferred ?? dir;
      this.#own.set(name, own);
      if (own === dir) {
        this.#links.set(name, dir);
        return this.note(specifier, { label: specifier, dir });
      }
    }
    const place = relative(this.#sourceDir, dir).split(sep).join("/");
    const alias = `${name}~${createHash("sha256").update(place).digest("hex").slice(0, 8)}`;
    this.#links.set(alias, dir);
    return this.note(alias + specifier.slice(name.length), {
      label: `${specifier} in ${place}`,
      dir,
    });
  }

  /** Remembers a package that compiled code imports by this specifier, and returns the specifier. */
  note(specifier: string, linked: LinkedPackage): string {
    this.#packages.set(specifier, linked);
    return specifier;
  }

  /** Makes the links. */
  async write(): Promise<void> {
    for (const [name, dir] of this.#links) {
      const link = join(this.#generationDir, "node_modules", name);
      await mkdir(dirname(link), { recursive: true });
      await symlink(dir, link, "junction");
    }
  }
}
