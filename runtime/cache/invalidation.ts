import { findField } from "../http/find-field.ts";

/** Methods that change nothing (RFC 9110 section 9.2.1). All others, also unknown ones, may. */
const SAFE: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);

/**
 * Returns the URLs whose entries an answer makes invalid (RFC 9111 section 4.4): that of an unsafe request without error,
 * and those in `location` and `content-location` of the same origin. An answer of one origin never removes entries of
 * another.
 *
 * @param request.url The full URL.
 * @param answer.fields Field block.
 */
export function resolveInvalidation(
  request: { method: string; url: string },
  answer: { status: number; fields: string },
): readonly string[] {
  if (SAFE.has(request.method) || answer.status < 200 || answer.status > 399) return NONE;
  const urls = new Set([request.url]);
  const base = toUrl(request.url);
  for (const name of ["location", "content-location"]) {
    const value = findField(answer.fields, name);
    const url = value === undefined || base === null ? null : toUrl(value, base.href);
    if (url === null || url.origin !== base?.origin) continue;
    url.hash = "";
    urls.add(url.href);
  }
  return [...urls];
}

function toUrl(text: string, base?: string): URL | null {
  try {
    return new URL(text, base);
  } catch {
    return null;
  }
}

const NONE: readonly string[] = Object.freeze([]);
