import type { ContentCoding } from "../http/content-coding.ts";

/**
 * Returns the entity tag of a compressed answer: `"a"` becomes `W/"a-br"`, and `W/"a"` becomes `W/"a--br"`.
 *
 * Each coding is another representation, so it has a tag of its own (RFC 9110 section 8.8.3.3). The tag is weak, because
 * two compressions of the same bytes need not be equal.
 */
export function toCodedTag(etag: string, coding: ContentCoding): string {
  const match = TAG.exec(etag);
  if (match === null) return etag;
  return `W/"${match[2] ?? ""}${match[1] === undefined ? "-" : "--"}${coding}"`;
}

/** Replaces all tags that `toCodedTag` made in a list of tags by those that the handler gave. */
export function toPlainTags(list: string): string {
  return list.replaceAll(CODED_TAG, (_, opaque: string, mark: string) =>
    mark === "--" ? `W/"${opaque}"` : `"${opaque}"`,
  );
}

/**
 * Replaces coded tags in the conditions of a request, so that its handler finds its own tags there.
 *
 * `If-Match` is among them. Its comparison is strong, and no weak tag would ever match: a client that edits a document
 * which it got compressed could never save it.
 *
 * @param fields Field block.
 */
export function toPlainConditions(fields: string): string {
  if (!fields.includes("-match\n")) return fields;
  return fields.replaceAll(
    /(^|\n)(if-(?:none-)?match\n)([^\n]*)/g,
    (_, before: string, name: string, list: string) => before + name + toPlainTags(list),
  );
}

const TAG = /^(W\/)?"([^"]*)"$/;
const CODED_TAG = /W\/"([^"]*?)(--?)(?:br|gzip|zstd)"/g;
