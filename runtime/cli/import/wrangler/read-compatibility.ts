import type { Item } from "./item.ts";

/** The version of Workers for which a project is written. */
export interface Compatibility {
  /** `2025-04-01`; empty: the file has none. */
  readonly date: string;
  readonly flags: readonly string[];
}

/** Reads `compatibility_date` and `compatibility_flags`. */
export function readCompatibility(keys: ReadonlyMap<string, Item>): Compatibility {
  const date = keys.get("compatibility_date")?.content;
  const flags = keys.get("compatibility_flags");
  return {
    date: typeof date === "string" ? date : "",
    flags: flags === undefined || flags.content === null ? [] : flags.texts(),
  };
}
