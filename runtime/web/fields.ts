import { NativeHeaders } from "./native.ts";

/**
 * Parses a field block: `name\nvalue\nname\nvalue`, "" for none.
 *
 * Repeated names are combined as `Headers` does it; `set-cookie` stays separate. Throws `TypeError` for a name that is
 * no token, or a value with a character above 0xFF, a NUL or a CR: the sender of a block checks those.
 */
export function parseFields(block: string): Headers {
  const headers = new NativeHeaders();
  if (block === "") return headers;
  const parts = block.split("\n");
  for (let at = 0; at < parts.length; at += 2) headers.append(parts[at] ?? "", parts[at + 1] ?? "");
  return headers;
}

/** Formats `headers` as a field block: names in lower case and sorted, every `set-cookie` on its own. */
export function formatFields(headers: Headers): string {
  let block = "";
  nativeForEach.call(headers, (value, name) => {
    block = block === "" ? `${name}\n${value}` : `${block}\n${name}\n${value}`;
  });
  return block;
}

/** Replaces the fields of `target` by those of `source`. */
export function copyHeaders(source: Headers, target: Headers): void {
  for (const name of new Set(target.keys())) target.delete(name);
  nativeForEach.call(source, (value, name) => target.append(name, value));
}

// A subclass may override its iteration. The fields that it holds are sent.
const nativeForEach = NativeHeaders.prototype.forEach;
