import type { Report } from "../report.ts";
import type { Section, Value } from "../section.ts";
import type { Item } from "./item.ts";

/** The names that `bindings` takes. */
export const BINDING_NAME = /^[A-Za-z_$][\w$]*$/;

/** Adds a binding to the new config, unless `env` cannot have its name or another one has it. */
export function setBinding(
  name: string,
  value: Value,
  { config, report, item }: { config: Section; report: Report; item: Pick<Item, "where"> },
): void {
  const bindings = config.child("bindings");
  if (!BINDING_NAME.test(name)) {
    report.lost(item.where, "a name in env has letters, digits and underscores: rename it");
  } else if (bindings.get(name) !== undefined) {
    report.lost(item.where, `another binding has the name ${name}: rename one of them`);
  } else {
    bindings.set(name, value);
    return;
  }
  if (bindings.size === 0) config.delete("bindings");
}
