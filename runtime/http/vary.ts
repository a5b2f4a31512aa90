/**
 * Returns a field block whose `vary` names a field (RFC 9110 section 12.5.5). The result has one `vary` line: some
 * caches read only the first.
 *
 * @param name In lower case.
 */
export function withVary(fields: string, name: string): string {
  if (!fields.includes("vary\n")) return append(fields, `vary\n${name}`);
  const parts = fields.split("\n");
  const values: string[] = [];
  const others: string[] = [];
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const [field = "", value = ""] = parts.slice(at, at + 2);
    if (field.toLowerCase() === "vary") values.push(value);
    else others.push(field, value);
  }
  const named = values.join(", ");
  const has = named.split(",").some((each) => ["*", name].includes(each.trim().toLowerCase()));
  const vary = has ? named : named === "" ? name : `${named}, ${name}`;
  return append(others.join("\n"), `vary\n${vary}`);
}

function append(fields: string, line: string): string {
  return fields === "" ? line : `${fields}\n${line}`;
}
