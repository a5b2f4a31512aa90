/**
 * The value of a field in a field block (see `channel/messages.ts`); that of all of them, joined with `, `, when it is
 * there more than once (RFC 9110 section 5.3); `undefined` when it is not.
 *
 * @param name In lower case.
 */
export function findField(block: string, name: string): string | undefined {
  let found: string | undefined;
  // Name and value by turns; no array of all of them, since most requests are asked for several fields in a row.
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
