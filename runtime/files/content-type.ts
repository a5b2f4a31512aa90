import { mimes } from "mrmime";

/**
 * Returns the `content-type` of a file by the extension of its name; `application/octet-stream` for unknown ones.
 *
 * Declares text as UTF-8, but not XML: an XML file names its encoding itself, and the field would overrule that
 * (RFC 7303 section 3).
 */
export function resolveContentType(fileName: string): string {
  const dot = fileName.lastIndexOf(".");
  const extension = dot > 0 ? fileName.slice(dot + 1).toLowerCase() : "";
  // Not mrmime's `lookup`: it finds `constructor` on the table's prototype and takes a name without a dot for an
  // extension.
  const type = Object.hasOwn(mimes, extension) ? mimes[extension] : EXTRA.get(extension);
  if (type === undefined) return "application/octet-stream";
  return type.startsWith("text/") && type !== "text/xml" ? `${type}; charset=utf-8` : type;
}

/** Types that are common on web sites and missing in mrmime 2.0.1. */
const EXTRA = new Map([
  ["ico", "image/x-icon"],
  ["zst", "application/zstd"],
  ["flac", "audio/flac"],
  ["m3u8", "application/vnd.apple.mpegurl"],
]);
