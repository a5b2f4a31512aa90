import { pickNearest } from "../../../lib/nearest.ts";
import { RuntimeError } from "../../../lib/errors.ts";
import type { Report } from "../report.ts";
import { Item, Table } from "./item.ts";
import { BINDING_KEYS, TOP_LEVEL_ONLY } from "./wrangler-keys.ts";

/**
 * Returns the keys that hold in an environment, by the rules of Workers: it inherits all keys that it does not have, but for
 * bindings, variables and `define`. Keys of the whole file are not its own. Without a name of its own it is `NAME-ENVIRONMENT`.
 *
 * @param name `null`: the top of the file.
 * @throws RuntimeError `ERR_CONFIG` for an environment that the file does not have.
 */
export function chooseEnvironment(
  root: Item,
  { name, report }: { name: string | null; report: Report },
): ReadonlyMap<string, Item> {
  const top = root.table();
  const environments = new Table(root).get("env")?.table() ?? new Map<string, Item>();
  if (name === null) {
    for (const [each, item] of environments) {
      report.unused(item.where, `another environment: import it with --env ${each}`);
    }
    return without(top, ["env"]);
  }
  const own = environments.get(name);
  if (own === undefined) throw refuseEnvironment(root, name, [...environments.keys()]);
  const members = own.table();
  for (const [key, item] of members) {
    if (TOP_LEVEL_ONLY.has(key)) report.lost(item.where, `only the top of the file has ${key}`);
  }
  for (const [key, item] of top) {
    if (BINDING_KEYS.has(key) && !members.has(key)) {
      report.unused(item.where, `the environment ${name} does not inherit it`);
    }
  }
  const inherited = without(top, ["env", ...BINDING_KEYS]);
  // Routes are one key of two names.
  const hasRoutes = members.has("route") || members.has("routes");
  const base = hasRoutes ? without(inherited, ["route", "routes"]) : inherited;
  const keys = new Map([...base, ...without(members, [...TOP_LEVEL_ONLY])]);
  const named = top.get("name");
  if (!members.has("name") && typeof named?.content === "string") {
    keys.set("name", new Item(`${named.content}-${name}`, named));
  }
  return keys;
}

function without(table: ReadonlyMap<string, Item>, keys: readonly string[]): Map<string, Item> {
  return new Map([...table].filter(([key]) => !keys.includes(key)));
}

function refuseEnvironment(root: Item, name: string, known: readonly string[]): RuntimeError {
  const near = pickNearest(name, known);
  const hint = near === null ? "" : `: did you mean ${near}?`;
  const expected =
    known.length === 0 ? "no --env: the file has none" : `one of ${known.join(", ")}`;
  return new RuntimeError(
    "ERR_CONFIG",
    `Cannot import ${root.file}: found no environment "${name}", expected ${expected}${hint}`,
  );
}
