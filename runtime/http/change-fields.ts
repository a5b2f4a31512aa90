/** Returns a field block (see `channel/messages.ts`) without the fields whose names fit. Names are in lower case. */
export function dropFields(block: string, isDropped: (name: string) => boolean): string {
  return format(parse(block).filter(([name]) => !isDropped(name)));
}

/** Returns a block in which fields of another block replace all fields of the same names. Names are in lower case. */
export function replaceFields(block: string, by: string): string {
  if (by === "") return block;
  const fields = parse(by);
  const names = new Set(fields.map(([name]) => name));
  return format([...parse(block).filter(([name]) => !names.has(name)), ...fields]);
}

/**
 * Repeats the change from one block to another on a third: sets and removes the same names. A field that did not change
 * stays as the third block has it.
 */
export function repeatChange(before: string, after: string, on: string): string {
  if (before === after) return on;
  const [old, now] = [group(before), group(after)];
  const kept = parse(on).filter(([name]) => old.get(name) === now.get(name));
  const changed = parse(after).filter(([name]) => old.get(name) !== now.get(name));
  return format([...kept, ...changed]);
}

type Field = readonly [name: string, value: string];

function parse(block: string): Field[] {
  if (block === "") return [];
  const parts = block.split("\n");
  const fields: Field[] = [];
  for (let at = 0; at + 1 < parts.length; at += 2)
    fields.push([parts[at] ?? "", parts[at + 1] ?? ""]);
  return fields;
}

function format(fields: readonly Field[]): string {
  return fields.flat().join("\n");
}

/** The values of each name, as one text. */
function group(block: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const [name, value] of parse(block)) {
    const before = values.get(name);
    values.set(name, before === undefined ? value : `${before}\n${value}`);
  }
  return values;
}
