import { withVary } from "./vary.ts";

/** Changes to a field block. Names are in lower case. */
export interface FieldEdits {
  /** Fields that are left out. */
  readonly dropped: ReadonlySet<string>;
  /** Fields to add at the end, as a block. */
  readonly added: string;
  /** Fields to add if the block does not have them. */
  readonly defaults: readonly (readonly [name: string, value: string])[];
  /** Fields of the request that decide about the reply: `vary` names them, in one line. In lower case. */
  readonly vary?: readonly string[];
}

/** Applies changes to a field block. */
export function editFields(
  block: string,
  { dropped, added, defaults, vary = [] }: FieldEdits,
): string {
  const missing = new Map(defaults);
  const kept: string[] = [];
  const parts = block === "" ? [] : block.split("\n");
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const [name = "", value = ""] = [parts[at], parts[at + 1]];
    const lower = name.toLowerCase();
    if (dropped.has(lower)) continue;
    missing.delete(lower);
    kept.push(name, value);
  }
  for (const [name, value] of missing) kept.push(name, value);
  if (added !== "") kept.push(added);
  let edited = kept.join("\n");
  for (const name of vary) edited = withVary(edited, name);
  return edited;
}
