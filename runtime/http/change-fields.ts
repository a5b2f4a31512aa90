import { formatBlock, parseBlock } from "./field-block.ts";

/** Returns a field block (see `channel/messages.ts`) without the fields whose names fit. Names are in lower case. */
export function dropFields(block: string, isDropped: (name: string) => boolean): string {
  return formatBlock(parseBlock(block).filter(([name]) => !isDropped(name)));
}

/** Returns a block in which fields of another block replace all fields of the same names. Names are in lower case. */
export function replaceFields(block: string, by: string): string {
  if (by === "") return block;
  const fields = parseBlock(by);
  const names = new Set(fields.map(([name]) => name));
  return formatBlock([...parseBlock(block).filter(([name]) => !names.has(name)), ...fields]);
}

/**
 * Repeats the change from one block to another on a third: sets and removes the same names. A field that did not change
 * stays as the third block has it.
 */
export function repeatChange(before: string, after: string, on: string): string {
  if (before === after) return on;
  const [old, now] = [group(before), group(after)];
  const kept = parseBlock(on).filter(([name]) => old.get(name) === now.get(name));
  const changed = parseBlock(after).filter(([name]) => old.get(name) !== now.get(name));
  return formatBlock([...kept, ...changed]);
}

/** The values of each name, as one text. */
function group(block: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const [name, value] of parseBlock(block)) {
    const before = values.get(name);
    values.set(name, before === undefined ? value : `${before}\n${value}`);
  }
  return values;
}
