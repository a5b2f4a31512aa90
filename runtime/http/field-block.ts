/** A field of a block (see `channel/messages.ts`). */
export type Field = readonly [name: string, value: string];

/** Returns the fields of a block, in their order. */
export function parseBlock(block: string): Field[] {
  const parts = block === "" ? [] : block.split("\n");
  const fields: Field[] = [];
  for (let at = 0; at + 1 < parts.length; at += 2) {
    fields.push([parts[at] ?? "", parts[at + 1] ?? ""]);
  }
  return fields;
}

/** Returns the block of these fields. */
export function formatBlock(fields: readonly Field[]): string {
  return fields.flat().join("\n");
}
