import type { BindingSetting, BindingValue } from "../../lib/binding-settings.ts";
import { parsePattern } from "../../route/pattern.ts";

/** The begin of each written file: `types` replaces no other file. */
export const MARK = '// Written by "edgicorn types": changes are lost.';

/** A route of the project. */
export interface TypedRoute {
  /** Name of its site; `null`: the default one. */
  site: string | null;
  /** `/users/:id` */
  pattern: string;
  /** Its files, for a comment: `handlers/users/[id].ts`. */
  files: readonly string[];
  /** The methods in the names of its files; `null`: a file answers all others. */
  methods: readonly string[] | null;
}

export interface TypedProject {
  bindings: readonly Pick<BindingSetting, "name" | "pools" | "sites" | "value">[];
  /** Names of environment variables as the setting `envVariables` lists them; `null`: all. */
  variables: readonly string[] | null;
  routes: readonly TypedRoute[];
}

/** The types of `env` by the kind of a binding. Types that the package exports have a name in `IMPORTED`. */
const TYPES: Readonly<Record<Exclude<BindingValue["kind"], "json">, string>> = {
  var: "string",
  secret: "string",
  kv: "KvNamespace",
  counter: "Counter",
  lock: "Locks",
  queue: "Queue",
  rateLimit: "RateLimiter",
  service: "Fetcher",
  assets: "Fetcher",
};

/**
 * Writes the text of `edgicorn-env.d.ts`: types of `env` and of routes. Pure: the same project gives the same text.
 *
 * A binding for single pools or sites is optional, because other handlers do not have it.
 */
export function writeTypes({ bindings, variables, routes }: TypedProject): string {
  const imported = [
    ...new Set(bindings.flatMap(({ value }) => (value.kind === "json" ? [] : [TYPES[value.kind]]))),
  ]
    .filter((type) => type !== "string")
    .toSorted();
  const declared = new Set(bindings.map(({ name }) => name));
  const single = (variables ?? []).filter((name) => !name.endsWith("*") && !declared.has(name));
  const members = [
    ...bindings.toSorted(byName).flatMap(writeBinding),
    ...[...new Set(single)]
      .toSorted()
      .flatMap((name) => [`/** A variable of envVariables. */`, `${toKey(name)}?: string;`]),
  ];
  return [
    MARK,
    '// "edgicorn types --check" tells whether it is out of date.',
    '/// <reference types="node" />',
    '/// <reference types="edgicorn/types" />',
    imported.length === 0
      ? "export {};"
      : `import type { ${imported.join(", ")} } from "edgicorn";`,
    "",
    'declare module "edgicorn" {',
    ...writeInterface("Env", members),
    "",
    ...writeInterface("Routes", routes.toSorted(byRoute).flatMap(writeRoute)),
    "}",
    "",
  ].join("\n");
}

function writeInterface(name: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return [`  interface ${name} {}`];
  return [`  interface ${name} {`, ...lines.map((line) => `    ${line}`), "  }"];
}

function writeBinding({ name, pools, sites, value }: TypedProject["bindings"][number]): string[] {
  const scope = [
    ...(pools === null ? [] : [`only in the pools ${pools.join(", ")}`]),
    ...(sites === null ? [] : [`only for the sites ${sites.join(", ")}`]),
  ];
  const comment = [`bindings.${name}: ${value.kind}`, ...scope].join(", ");
  const optional = scope.length === 0 ? "" : "?";
  const type = value.kind === "json" ? typeOf(value.data) : TYPES[value.kind];
  return [toComment(comment), `readonly ${toKey(name)}${optional}: ${type};`];
}

/** Returns the type of a value of JSON. */
function typeOf(data: unknown): string {
  if (data === null) return "null";
  if (Array.isArray(data)) {
    const types = [...new Set(data.map((each) => typeOf(each)))].toSorted();
    return types.length === 0 ? "readonly unknown[]" : `readonly (${types.join(" | ")})[]`;
  }
  if (typeof data !== "object") return typeof data;
  const members = Object.entries(data).map(
    ([key, value]) => `readonly ${toKey(key)}: ${typeOf(value)}`,
  );
  return members.length === 0 ? "Record<string, never>" : `{ ${members.join("; ")} }`;
}

function writeRoute({ site, pattern, files, methods }: TypedRoute): string[] {
  const names = parsePattern(pattern).flatMap((segment) =>
    segment.kind === "static" || segment.name === null ? [] : [segment.name],
  );
  const params = names.map((name) => `readonly ${name}: string`).join("; ");
  const shown = params === "" ? "Record<never, string>" : `{ ${params} }`;
  const methodTypes = methods?.map((method) => JSON.stringify(method)).join(" | ") ?? "string";
  const key = JSON.stringify((site ?? "") + pattern);
  return [toComment(files.join(", ")), `${key}: { params: ${shown}; methods: ${methodTypes} };`];
}

function toComment(text: string): string {
  return `/** ${text.replaceAll("*/", "*\\/")} */`;
}

function toKey(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}

function byName(one: { name: string }, other: { name: string }): number {
  return one.name < other.name ? -1 : 1;
}

/** Routes of the default site come first. */
function byRoute(one: TypedRoute, other: TypedRoute): number {
  const [key, otherKey] = [one, other].map(({ site, pattern }) => `${site ?? ""}${pattern}`);
  return (key ?? "") < (otherKey ?? "") ? -1 : 1;
}
