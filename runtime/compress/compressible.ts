/** Smallest body that is compressed. A smaller one fits into one packet with its head anyway. */
export const LEAST_BYTES = 1024;

/**
 * Tells whether bodies of a type become much smaller. Types of text do; images, films, archives and fonts for the web are
 * compressed already. Event streams are none of them: their events must not wait, and are small.
 *
 * @param contentType Value of `content-type`, with parameters or without.
 */
export function isCompressibleType(contentType: string): boolean {
  const type = (contentType.split(";", 1)[0] ?? "").trim().toLowerCase();
  if (type.startsWith("text/")) return type !== "text/event-stream";
  return TYPES.test(type);
}

const TYPES =
  /^(?:application\/(?:[\w.-]+\+(?:json|xml|text)|ecmascript|graphql|javascript|json|json5|jsonl|jsonlines|ndjson|rtf|sql|toml|vnd\.ms-fontobject|wasm|x-(?:javascript|ndjson|sh|yaml)|xml|yaml)|font\/(?:otf|ttf)|image\/(?:bmp|svg\+xml|vnd\.microsoft\.icon|x-icon)|model\/(?:gltf\+json|obj))$/;
