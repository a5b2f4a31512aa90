/** Counts the objects of each class in a heap snapshot of V8. */
export function countInstances(
  snapshot: string,
  classes: readonly string[],
): ReadonlyMap<string, number> {
  // The format of `--heapsnapshot-signal`. The checks below report another format.
  const { snapshot: about, nodes, strings } = JSON.parse(snapshot) as Snapshot;
  const { node_fields: fields, node_types: types } = about.meta;
  const typeAt = fields.indexOf("type");
  const nameAt = fields.indexOf("name");
  const objectType = types[typeAt]?.indexOf("object") ?? -1;
  if (typeAt === -1 || nameAt === -1 || objectType === -1) {
    throw new Error("Cannot read a heap snapshot: it has other fields");
  }
  const counts = new Map(classes.map((name) => [name, 0]));
  const nameOf = new Map<number, string>();
  strings.forEach((text, index) => {
    // A bundler prefixes the name of a class that refers to itself with `_`.
    const name = text.replace(/^_/, "");
    if (counts.has(name)) nameOf.set(index, name);
  });
  for (let at = 0; at < nodes.length; at += fields.length) {
    if (nodes[at + typeAt] !== objectType) continue;
    const name = nameOf.get(nodes[at + nameAt] ?? -1);
    if (name !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

interface Snapshot {
  readonly snapshot: {
    readonly meta: {
      readonly node_fields: readonly string[];
      readonly node_types: readonly (string | readonly string[])[];
    };
  };
  readonly nodes: readonly number[];
  readonly strings: readonly string[];
}
