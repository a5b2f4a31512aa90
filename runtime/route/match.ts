import { addRoute, createRouter, findRoute } from "rou3";
import type { RouterContext } from "rou3";

import { assertNever } from "../lib/errors.ts";
import { encodePathText, toPathKey } from "../lib/path-key.ts";
import { parsePattern } from "./pattern.ts";
import type { Segment } from "./pattern.ts";

/** The target of a path: a route or, if no route matches, the fallback of the nearest folder that has one. */
export type Match = RouteMatch | FallbackMatch;

export interface RouteMatch {
  /** Index into the table's `routes`. */
  route: number;
  /** Decoded values by name; `null` for a route without parameters. */
  params: Record<string, string> | null;
}

export interface FallbackMatch {
  /** Index into the table's `fallbacks`. */
  fallback: number;
}

/** The part of a generation's manifest that a matcher is built from. */
export interface PatternTable {
  routes: readonly { pattern: string }[];
  fallbacks: readonly { pattern: string; files?: true }[];
}

/** `pathname` is normalised and percent-encoded, as `parseTarget` returns it. */
export type Matcher = (pathname: string) => Match | null;

/**
 * Builds the matcher of a generation.
 *
 * - Segment by segment, static beats a parameter, which beats the rest; a choice that leads nowhere is taken back.
 *   Among parameters in one place those with text around them win, then more text, then the earlier route.
 * - Segments are compared decoded and by case: `/%61bc` is `/abc`. Malformed encoding equals no static text.
 * - One trailing slash is ignored (`/hello/` is `/hello`); otherwise empty segments count, and only a rest takes them.
 * - A parameter's value is decoded, malformed encoding left as it is. A rest is decoded segment by segment; a slash
 *   that was encoded stays `%2F`, so that splitting the value gives the segments and no `..` can hide in it. The rest
 *   may be empty: `/docs/**:path` matches `/docs`, with the value "".
 *
 * @throws SyntaxError for a pattern that `formatPattern` would not write.
 */
export function createMatcher({ routes, fallbacks }: PatternTable): Matcher {
  // Most routes of most applications are static: one look-up for any number of them, and no allocation.
  const staticRoutes = new Map<string, RouteMatch>();
  const dynamicRoutes = createRouter<DynamicRoute>();
  const fallbackRoutes = createRouter<FallbackMatch>();
  routes.forEach(({ pattern }, route) => {
    const segments = parsePattern(pattern);
    if (segments.every((segment) => segment.kind === "static")) {
      // For static texts only, the router's pattern is the key of the one path that it matches.
      staticRoutes.set(toRouterPattern(segments), { route, params: null });
    } else {
      addRoute(dynamicRoutes, "", toRouterPattern(segments), toDynamicRoute(route, segments));
    }
  });
  fallbacks.forEach(({ pattern, files }, fallback) => {
    if (files === true) return;
    addRoute(fallbackRoutes, "", toRouterPattern(parsePattern(pattern)), { fallback });
  });

  return function match(pathname) {
    const exact = staticRoutes.get(pathname);
    if (exact !== undefined) return exact;
    const key = toPathKey(pathname);
    return (
      matchStatic(staticRoutes, key) ??
      matchDynamic(dynamicRoutes, key) ??
      findRoute(fallbackRoutes, "", key, { params: false })?.data ??
      null
    );
  };
}

interface DynamicRoute {
  route: number;
  /** In the order of the pattern; `key` is the router's name for the value. Empty: nothing is captured. */
  captures: { key: string; name: string; isRest: boolean }[];
}

/** The router's key of an unnamed `**`, the first and only unnamed capture of a pattern. */
const REST_KEY = "0";

function matchStatic(routes: Map<string, RouteMatch>, key: string): RouteMatch | undefined {
  const withoutSlash = key.length > 2 && key.endsWith("/") ? key.slice(0, -1) : key;
  return routes.get(withoutSlash);
}

function matchDynamic(routes: RouterContext<DynamicRoute>, key: string): RouteMatch | undefined {
  const found = findRoute(routes, "", key);
  if (found === undefined) return undefined;
  const { route, captures } = found.data;
  if (captures.length === 0) return { route, params: null };
  const params: Record<string, string> = {};
  for (const capture of captures) {
    const value = found.params?.[capture.key] ?? "";
    params[capture.name] = capture.isRest ? decodeRest(value) : decodeSegment(value);
  }
  return { route, params };
}

function decodeSegment(value: string): string {
  if (!value.includes("%")) return value;
  try {
    return decodeURIComponent(value);
  } catch {
    // Malformed encoding reaches handlers unchanged.
    return value;
  }
}

function decodeRest(value: string): string {
  if (!value.includes("%")) return value;
  const segments = value.split("/");
  return segments.map((segment) => decodeSegment(segment).replaceAll("/", "%2F")).join("/");
}

/**
 * Rewrites a pattern for the router: texts encoded, parameters numbered (their names would have to be unique across
 * routes of one shape), and a bare `**` for the rest, because rou3's `**:name` takes neither nothing nor empty
 * segments.
 */
function toRouterPattern(segments: readonly Segment[]): string {
  return `/${segments.map(toRouterSegment).join("/")}`;
}

function toRouterSegment(segment: Segment, index: number): string {
  switch (segment.kind) {
    case "static":
      return encodePathText(segment.text);
    case "param": {
      const prefix = encodePathText(segment.prefix);
      const suffix = encodePathText(segment.suffix);
      if (prefix === "" && suffix === "") return `:${toParamKey(index)}`;
      // The constraint takes an encoded character whole: `:id0` must not find its 0 inside `%20`.
      return `${prefix}:${toParamKey(index)}((?:[^%]|%[0-9A-Fa-f][0-9A-Fa-f])+?)${suffix}`;
    }
    case "rest":
      return "**";
    default:
      return assertNever(segment);
  }
}

function toParamKey(index: number): string {
  return `p${index}`;
}

function toDynamicRoute(route: number, segments: readonly Segment[]): DynamicRoute {
  const captures: DynamicRoute["captures"] = [];
  segments.forEach((segment, index) => {
    if (segment.kind === "param") {
      captures.push({ key: toParamKey(index), name: segment.name, isRest: false });
    } else if (segment.kind === "rest" && segment.name !== null) {
      captures.push({ key: REST_KEY, name: segment.name, isRest: true });
    }
  });
  return { route, captures };
}
