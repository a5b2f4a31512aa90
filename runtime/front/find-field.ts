/**
 * The value of a field in a field block (see `channel/messages.ts`); that of all of them, joined with `, `, when it is
 * there more than once (RFC 9110 section 5.3); `undefined` when it is not.
 *
 * @param name In lower case.
 */
export function findField(block: string, name: string): string | undefined {
  let found: string | undefined;
  const parts = block.split("\n");
  for (let at = 0; at + 1 < parts.length; at += 2) {
    if (parts[at] === name)
      found = found === undefined ? parts[at + 1] : `${found}, ${parts[at + 1]}`;
  }
  return found;
}
