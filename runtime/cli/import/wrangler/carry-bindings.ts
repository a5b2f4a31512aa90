import { REPLACEMENTS } from "../../wrangler-bindings.ts";
import { Section, type Value } from "../section.ts";
import type { Carrying, CarryKey } from "./carrying.ts";
import { isItems, type Item, Table } from "./item.ts";
import { readCompatibility } from "./read-compatibility.ts";
import { reportUnknown, reportUnused } from "./report-unknown.ts";
import { carryServices } from "./carry-services.ts";
import { setBinding } from "./set-binding.ts";
import { LOST } from "./wrangler-keys.ts";

/** Keys that become bindings. */
export const BINDING_CARRIERS: Readonly<Record<string, CarryKey>> = {
  vars: carryVars,
  kv_namespaces: carryNamespaces,
  services: carryServices,
  ratelimits: (item, carrying) => {
    for (const limit of item.tables()) carryLimit(limit, carrying);
  },
  unsafe: carryUnsafe,
};

function carryVars(item: Item, carrying: Carrying): void {
  const { config, report, keys } = carrying;
  for (const [name, value] of item.table()) {
    const { content } = value;
    const own = typeof content === "string" ? content : new Section({ json: toValue(value) });
    setBinding(name, own, { config, report, item: value });
  }
  if (hasProcessEnv(keys)) {
    report.changed(item.where, "process.env does not have them: use env, or write them into .env");
  }
}

/** Returns the value for the text of the new config. */
function toValue({ content }: Item): Value {
  if (typeof content !== "object" || content === null) return content;
  if (isItems(content)) return content.map((item) => toValue(item));
  const section = new Section();
  for (const [key, item] of content) section.set(key, toValue(item));
  return section;
}

/** Whether the date and the flags fill `process.env`. */
function hasProcessEnv(keys: ReadonlyMap<string, Item>): boolean {
  const { date, flags } = readCompatibility(keys);
  if (flags.includes("nodejs_compat_do_not_populate_process_env")) return false;
  if (flags.includes("nodejs_compat_populate_process_env")) return true;
  return flags.includes("nodejs_compat") && date >= "2025-04-01";
}

/** Keys of bindings that are about development alone. */
const DEV_ONLY = { preview_id: "about wrangler dev", remote: "about wrangler dev" };

function carryNamespaces(item: Item, { config, report }: Carrying): void {
  const spaces = new Map<string, string>();
  for (const namespace of item.tables()) {
    const binding = namespace.need("binding").text();
    const id = namespace.get("id")?.text() ?? binding;
    const space = spaces.get(id) ?? pickName(binding, [...spaces.values()]);
    spaces.set(id, space);
    setBinding(binding, new Section({ kv: space }), { config, report, item: namespace.item });
    reportUnused(namespace, DEV_ONLY, { report });
    reportUnknown(namespace, ["binding", "id", ...Object.keys(DEV_ONLY)], { report });
  }
}

/** Returns a name for a store that no other one has. */
function pickName(binding: string, taken: readonly string[]): string {
  const plain = binding
    .toLowerCase()
    .replaceAll(/[^\w.-]/g, "-")
    .slice(0, 58);
  let name = plain;
  for (let count = 2; taken.includes(name); count++) name = `${plain}-${count}`;
  return name;
}

const DAY_SECONDS = 86_400;

const LIMIT_KEYS = ["name", "binding", "namespace_id", "simple", "type"];

function carryLimit(limit: Table, { config, report }: Carrying): void {
  const name = (limit.get("name") ?? limit.need("binding")).text();
  const simple = new Table(limit.need("simple"));
  const value = new Section({
    limit: simple.need("limit").count(1, Number.MAX_SAFE_INTEGER),
    period: `${simple.need("period").count(1, DAY_SECONDS)}s`,
  });
  setBinding(name, new Section({ rateLimit: value }), { config, report, item: limit.item });
  reportUnknown(limit, LIMIT_KEYS, { report });
  reportUnknown(simple, ["limit", "period"], { report });
}

function carryUnsafe(item: Item, carrying: Carrying): void {
  const unsafe = new Table(item);
  for (const binding of unsafe.get("bindings")?.tables() ?? []) {
    const type = binding.need("type").text();
    if (type === "ratelimit") carryLimit(binding, carrying);
    else {
      const { report } = carrying;
      const line = { ...binding.item.where, text: `${binding.item.path} ${nameOf(binding)}` };
      report.lost(line, `this server has no binding of the type ${type}: use a package`);
    }
  }
  for (const other of unsafe.others(["bindings"])) {
    carrying.report.unused(other.where, "about the upload");
  }
}

/** Reports each binding of a kind that this server does not have. Returns whether the key is one. */
export function reportLostBindings(key: string, item: Item, { report }: Carrying): boolean {
  const replacement = REPLACEMENTS[key];
  if (replacement === undefined || !Object.hasOwn(REPLACEMENTS, key)) return false;
  const found = findTables(item);
  for (const binding of found) {
    const line = { ...binding.item.where, text: `${binding.item.path} ${nameOf(binding)}` };
    report.lost(line, `this server has no such binding: use ${replacement}`);
  }
  return true;
}

/** Reports a key without a counterpart. Returns whether it is one. */
export function reportLostKey(key: string, item: Item, { report }: Carrying): boolean {
  const remedy = LOST[key];
  if (remedy === undefined || !Object.hasOwn(LOST, key)) return false;
  const isEmpty =
    item.content === false || (Array.isArray(item.content) && item.content.length === 0);
  if (!isEmpty) report.lost(item.where, remedy);
  return true;
}

/** Returns the tables that make a binding: one, those of a list, or those of `bindings`. */
function findTables(item: Item): Table[] {
  if (Array.isArray(item.content)) return item.tables();
  const table = new Table(item);
  const inner = table.get("bindings");
  return inner === null ? [table] : inner.tables();
}

function nameOf(table: Table): string {
  const name = table.get("binding") ?? table.get("name");
  return typeof name?.content === "string" ? name.content : "";
}
