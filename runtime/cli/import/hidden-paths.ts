import type { PathMatch } from "./nginx-expressions.ts";
import { hasWithin } from "./scope.ts";
import type { Directive } from "./parse-nginx.ts";

/** Paths of a location that keeps clients from hidden files. */
export interface HiddenPaths {
  readonly paths: readonly PathMatch[];
  /** Paths that the expression takes and the patterns do not; `null`: there are none. */
  readonly gap: string | null;
}

/** An expression about names that begin with a dot: `/\.ht`, `(^|/)\.`. The group is the text after the dot. */
const HIDDEN = /^(?:\/|\(\^\|\/\)|\(\?:\^\|\/\))\\\.(.*)$/;

/** The text after the dot, where it is one name or a list of names. */
const NAMES = /^(?:([\w-]+)|\((?:\?:)?([\w-]+(?:\|[\w-]+)*)\))(?:\$|\.\*\$?|\(\/\|\$\)|\/)?$/;

/** The text after the dot, where it takes all names. */
const ALL_NAMES = /^(?:(?:\.|\[\^\/\]|\\w)[*+])?\$?$/;

/** Hidden files that folders of a project often have. */
const PRIVATE_NAMES = ["env", "git", "ht", "svn", "DS_Store"];

/** Directives that pass requests on to programs, which may have hidden paths. */
const PASSES = ["proxy_pass", "uwsgi_pass", "fastcgi_pass", "scgi_pass", "grpc_pass"];

/**
 * Returns the paths of a location whose expression is about hidden files.
 *
 * Files alone need no rule: this server sends no hidden file, apart from those in `/.well-known/`.
 *
 * @param server Directives of the server around the location.
 * @returns `null`: the expression is about others, or no pattern says the same.
 */
export function matchHidden(expression: string, server: readonly Directive[]): HiddenPaths | null {
  const [, rest] = HIDDEN.exec(expression) ?? [];
  if (rest === undefined) return null;
  const isExceptWellKnown = rest.startsWith("(?!well-known");
  const [, name, list] = NAMES.exec(rest) ?? [];
  const names = ALL_NAMES.test(rest) ? [""] : (list ?? name)?.split("|");
  if (!hasWithin(server, PASSES)) {
    const takesWellKnown = names?.some((start) => "well-known".startsWith(start));
    if (isExceptWellKnown || takesWellKnown === false) return { paths: [], gap: null };
    return takesWellKnown === true ? { paths: toPaths(["/.well-known/**"]), gap: null } : null;
  }
  if (isExceptWellKnown) {
    const known = PRIVATE_NAMES.map((start) => `.${start}`).join(", ");
    return {
      paths: toPaths(PRIVATE_NAMES.flatMap(toPatterns)),
      gap: `no pattern takes all hidden names but .well-known: the rule is for ${known}, and others reach the upstream`,
    };
  }
  if (names === undefined) return null;
  return {
    paths: toPaths(names.flatMap(toPatterns)),
    gap: "a pattern has one `**`: paths with two segments before the hidden one, and two after it, reach the upstream",
  };
}

/** Returns patterns of the paths with a segment that begins with a dot and this name. */
function toPatterns(name: string): string[] {
  const hidden = `.${name}*`;
  return [`/**/${hidden}`, `/**/${hidden}/:below`, `/${hidden}/**`, `/:above/${hidden}/**`];
}

function toPaths(patterns: readonly string[]): PathMatch[] {
  return patterns.map((path) => ({ path, groups: new Map(), isWider: false }));
}
