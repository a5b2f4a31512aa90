import type { ComparedQuestion } from "./requests.ts";
import type { Deviation } from "./compare.ts";

/** A known difference between both servers. docs/nginx.md lists the reasons, in these words. */
export interface Difference {
  reason: string;
  accepts: (deviation: Deviation, question: ComparedQuestion, status: number) => boolean;
}

const MALFORMED = /%(?![0-9a-f]{2})|%00/i;

/** More `..` than folders before it. */
function leadsAboveRoot(path: string): boolean {
  let depth = 0;
  for (const segment of path
    .replaceAll(/%2f/gi, "/")
    .replaceAll(/%2e/gi, ".")
    .split("/")
    .slice(1)) {
    depth += segment === ".." ? -1 : segment === "" || segment === "." ? 0 : 1;
    if (depth < 0) return true;
  }
  return false;
}

function hasSeveralReadings(path: string): boolean {
  return /\/\/|%2f|%5c/i.test(path);
}

function isStatus({ part, nginx, ours }: Deviation, one: number, other: number): boolean {
  return part === "status" && nginx === String(one) && ours === String(other);
}

export const DIFFERENCES: readonly Difference[] = [
  {
    reason:
      "`404.html` has `Cache-Control: no-store` and no `ETag`, because a deployment may be about to add the file",
    accepts: ({ part }, _, status) =>
      status === 404 && (part === "cache-control" || part === "etag"),
  },
  {
    reason:
      "A malformed escape (`%zz`, `%00`) is a path that no file has, so the answer is 404 or that of a rule, not 400",
    accepts: ({ part, nginx }, { path }) =>
      part === "status" && nginx === "400" && MALFORMED.test(path),
  },
  {
    reason:
      "`..` above the root stays at the root, as in browsers and the URL standard; Nginx answers 400",
    accepts: ({ part, nginx }, { path }) =>
      part === "status" && nginx === "400" && leadsAboveRoot(path),
  },
  {
    reason: "`%2F` is not a slash: no file has such a path",
    accepts: (deviation, { path }) => isStatus(deviation, 200, 404) && /%2f/i.test(path),
  },
  {
    reason:
      "A path with `//`, `%2F` or `%5C` for which two readings choose different rules gets 400",
    accepts: ({ part, ours }, { path }) =>
      part === "status" && ours === "400" && hasSeveralReadings(path),
  },
  {
    reason:
      "Rules of access apply before files are looked for: a path below `/private/` gets 401 whether a file has it or not, and so does `/private` itself",
    accepts: ({ part, ours }, { path }) =>
      part === "status" && ours === "401" && path.startsWith("/private"),
  },
  {
    reason: '`WWW-Authenticate` names the coding of the password (`charset="UTF-8"`, RFC 7617)',
    accepts: ({ part }) => part === "www-authenticate",
  },
  {
    reason:
      "`setFields` is on every reply of a site, once; Nginx leaves `add_header` out of 400, and repeats it in 416",
    accepts: ({ part, nginx }) =>
      part === "x-content-type-options" && (nginx === "-" || nginx === "nosniff,nosniff"),
  },
  {
    reason: "`TRACE` is refused before a site is chosen, so its refusal has no fields of rules",
    accepts: ({ part }, { method }) => part === "x-content-type-options" && method === "TRACE",
  },
  {
    reason: "206 has `Accept-Ranges`, as 200 has it",
    accepts: ({ part, nginx, ours }, _, status) =>
      part === "accept-ranges" &&
      nginx === "-" &&
      ours === "bytes" &&
      (status === 206 || status === 416),
  },
  {
    reason: "A range is a range of the file itself, not of a compressed form",
    accepts: (deviation, { headers }) =>
      isStatus(deviation, 200, 206) && headers?.["accept-encoding"] !== undefined,
  },
  {
    reason: "304 and 412 have the `Vary` of 200",
    accepts: ({ part, nginx }, _, status) =>
      part === "vary" && nginx === "-" && (status === 304 || status === 412),
  },
  {
    reason: "A file is compressed once, so compressed answers have a length, and `Accept-Ranges`",
    accepts: ({ part, nginx }, { group }) =>
      group === "codings" && part === "accept-ranges" && nginx === "-",
  },
  {
    reason: "Brotli goes before gzip for clients that take it, also for `*`",
    accepts: ({ part, ours }) => part === "content-encoding" && ours === "br",
  },
  {
    reason: "A client that prefers plain answers (`identity;q=1, gzip;q=0.5`) gets one",
    accepts: ({ part, ours }, { headers }) =>
      part === "content-encoding" &&
      ours === "-" &&
      headers?.["accept-encoding"]?.includes("identity;q=1") === true,
  },
  {
    reason: "304 has no `Last-Modified` beside its `ETag` (RFC 9110 section 15.4.5)",
    accepts: ({ part }, _, status) => part === "last-modified" && status === 304,
  },
  {
    reason: "412 has the `ETag` of the file",
    accepts: ({ part }, _, status) => part === "etag" && status === 412,
  },
  {
    reason:
      "`If-Modified-Since` with a later date than the file's gets 304, as with `if_modified_since before`",
    accepts: (deviation, { headers }) =>
      isStatus(deviation, 200, 304) && headers?.["if-modified-since"] !== undefined,
  },
  {
    reason:
      "`If-Unmodified-Since` with a malformed date is ignored (RFC 9110 section 13.1.4); Nginx answers 412",
    accepts: (deviation, { headers }) =>
      isStatus(deviation, 412, 200) && headers?.["if-unmodified-since"] === "not a date",
  },
  {
    reason:
      "A `Range` for HEAD, a malformed one, and one whose first position comes after its last are ignored (RFC 9110 section 14.2); Nginx answers 206 or 416",
    accepts: ({ part, ours, nginx }, { headers }) =>
      part === "status" &&
      ours === "200" &&
      (nginx === "206" || nginx === "416") &&
      headers?.["range"] !== undefined,
  },
  {
    reason: "The end of a range may be any number: the rest of the file is sent",
    accepts: (deviation, { headers }) =>
      isStatus(deviation, 416, 206) && headers?.["range"]?.endsWith("9999") === true,
  },
  {
    reason: "No range of an empty file can be sent, so the answer is 416",
    accepts: (deviation, { path }) => isStatus(deviation, 200, 416) && path === "/empty.txt",
  },
  {
    reason: "The boundary between several ranges is at random",
    accepts: ({ part }, { headers }, status) =>
      status === 206 &&
      headers?.["range"]?.includes(",") === true &&
      ["content-length", "content-type", "body"].includes(part),
  },
  {
    reason: "Methods that no file takes get 405 where there is a file, and 404 where there is none",
    accepts: (deviation, { group }) => group === "methods" && isStatus(deviation, 405, 404),
  },
  {
    reason: "`*` in the name of a site is exactly one label, as in certificates",
    accepts: ({ part, ours }, { host }) =>
      part === "status" && ours === "421" && host === "a.b.wild.example.test",
  },
  {
    reason: "A missing script or image gets 404, not the page of the application",
    accepts: (deviation, { path }) => isStatus(deviation, 200, 404) && path === "/spa/missing.js",
  },
  {
    reason: "The page of an application depends on `Accept`, and `Vary` says so",
    accepts: ({ part, ours }, { group }) =>
      group === "fallbacks" && part === "vary" && ours.includes("accept"),
  },
  {
    reason: "`listing` is a setting of a site, and the client chooses HTML or JSON by `Accept`",
    accepts: (deviation, { group }) =>
      group === "listing" &&
      (isStatus(deviation, 403, 200) ||
        ["vary", "cache-control", "content-length", "body"].includes(deviation.part)),
  },
  {
    reason: "A fixed answer of a rule takes no body, so it has no limit for one",
    accepts: (deviation, { group }) => group === "limits" && isStatus(deviation, 413, 200),
  },
  {
    reason:
      "An answer before the end of the request's body is sent in chunks, if the client said `Connection: close`",
    accepts: ({ part, ours }, { path }) =>
      path === "/upload" && part === "content-length" && ours === "-",
  },
  {
    reason: "Fields of a request that are too long get 431, not 400",
    accepts: (deviation, { group }) => group === "limits" && isStatus(deviation, 400, 431),
  },
];
