/**
 * Returns the value of a field in a field block (see `channel/messages.ts`). Joins several lines of the same name with
 * `, ` (RFC 9110 section 5.3).
 *
 * @param name In lower case.
 * @returns `undefined` when the block has no such field.
 */
export function findField(block: string, name: string): string | undefined {
  let found: string | undefined;
  // Walks over names and values in turn. Splitting into an array would cost more, since most requests are searched for
  // several fields.
  for (let at = 0; at < block.length;) {
    const nameEnd = block.indexOf("\n", at);
    if (nameEnd === -1) break;
    const nextLine = block.indexOf("\n", nameEnd + 1);
    const valueEnd = nextLine === -1 ? block.length : nextLine;
    if (nameEnd - at === name.length && block.startsWith(name, at)) {
      const value = block.slice(nameEnd + 1, valueEnd);
      found = found === undefined ? value : `${found}, ${value}`;
    }
    at = valueEnd + 1;
  }
  return found;
}
