import type { LocationMatch } from "./nginx-patterns.ts";
import type { Directive } from "./parse-nginx.ts";
import type { Section } from "./section.ts";
import type { SiteDraft } from "./site-draft.ts";

/** A block of the config of Nginx, with the part of the new config that its directives change. */
export interface Scope {
  readonly level: "http" | "server" | "location";
  /** The block around it; `null`: it is the outermost one. */
  readonly parent: Scope | null;
  readonly directives: readonly Directive[];
  /** Settings of the whole server. */
  readonly top: Section;
  /** `null`: outside of a server. */
  readonly site: SiteDraft | null;
  /** Receives the actions of rules. */
  readonly rule: Section;
  /** The paths of the location; `null`: outside of a location. */
  readonly match: LocationMatch | null;
}

/**
 * Returns the directives of a name that hold in a block: its own, or those of the nearest block around it that has any.
 * Nginx inherits directives that may occur several times in this way.
 */
export function findAll(scope: Scope, name: string): Directive[] {
  for (let at: Scope | null = scope; at !== null; at = at.parent) {
    const found = at.directives.filter((directive) => directive.name === name);
    if (found.length > 0) return found;
  }
  return [];
}

/** Returns the directive of a name that holds in a block; `null`: none does. */
export function findOne(scope: Scope, name: string): Directive | null {
  return findAll(scope, name).at(-1) ?? null;
}

/** Returns the first argument of the directive that holds in a block; `null`: none does. */
export function valueOf(scope: Scope, name: string): string | null {
  return findOne(scope, name)?.args[0] ?? null;
}

/** Tells whether the block itself has a directive of this name. */
export function hasOwn(scope: Scope, name: string): boolean {
  return scope.directives.some((directive) => directive.name === name);
}

/** Tells whether the block or a block in it has one of these directives. */
export function hasWithin(directives: readonly Directive[], names: readonly string[]): boolean {
  return directives.some(
    ({ name, block }) => names.includes(name) || (block !== null && hasWithin(block, names)),
  );
}

/** Returns the location with this path or name in a block or in the blocks around it; `null`: there is none. */
export function findLocation(scope: Scope, path: string): Directive | null {
  for (let at: Scope | null = scope; at !== null; at = at.parent) {
    const found = at.directives.find(
      ({ name, args }) => name === "location" && args.at(-1) === path,
    );
    if (found !== undefined) return found;
  }
  return null;
}
