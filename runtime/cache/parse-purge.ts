import type { Purge } from "./store.ts";

/** End of the sentence "found x, expected ...". */
export const PURGE_EXPECTED =
  'a URL such as "https://example.com/page", the beginning of URLs with a "*" at its end, "tag:NAME", or "all"';

/**
 * Parses the entries to remove, as an operator names them.
 *
 * @returns `null`: the text names none.
 */
export function parsePurge(text: string): Purge | null {
  if (text === "all") return { kind: "all" };
  if (text.startsWith("tag:")) {
    const tag = text.slice("tag:".length);
    return /^[!-+\--~]+$/.test(tag) ? { kind: "tag", tag } : null;
  }
  if (!text.endsWith("*")) {
    const url = toUrl(text);
    return url === null ? null : { kind: "url", url };
  }
  // A URL always has a path, so that no prefix reaches into the name of another host.
  const prefix = toUrl(text.slice(0, -1));
  return prefix === null ? null : { kind: "prefix", prefix };
}

function toUrl(text: string): string | null {
  if (!/^https?:\/\//i.test(text)) return null;
  try {
    const url = new URL(text);
    url.hash = "";
    return url.username === "" && url.password === "" ? url.href : null;
  } catch {
    return null;
  }
}
