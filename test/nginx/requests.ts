import type { Question } from "./ask.ts";

/** A question for both servers. */
export interface ComparedQuestion extends Question {
  /** Groups name the part of the comparison. */
  group: string;
  /** These fields get the entity tag and the date that the same server gave for this path. */
  validators?: { of: string; send: readonly ("if-none-match" | "if-match" | "if-range")[] };
}

/** Files of the public folder: `app.js` is large enough for compression. */
export const FILES: Readonly<Record<string, string | Uint8Array>> = {
  "index.html": "<!doctype html><title>Home</title><p>home\n",
  "about.html": "<!doctype html><title>About</title><p>about\n",
  "404.html": "<!doctype html><title>Missing</title><p>There is no such page.\n",
  "app.js": `export const lines = [\n${'  "a line that repeats",\n'.repeat(400)}];\n`,
  "style.css": "body { color: black }\n".repeat(200),
  "small.css": "p { margin: 0 }\n",
  "data.json": JSON.stringify({ numbers: Array.from({ length: 900 }, (_, index) => index) }),
  "picture.png": Buffer.alloc(3_000, 0x89),
  "bytes.bin": Buffer.from(Array.from({ length: 10_000 }, (_, index) => index % 251)),
  "empty.txt": "",
  "notes.txt": "plain words\n",
  "with space.txt": "a name with a space\n",
  "ünï.txt": "a name outside of ASCII\n",
  "no-extension": "bytes without a type\n",
  "archive.tar.gz": Buffer.alloc(500, 7),
  ".env": "SECRET=1\n",
  ".git/config": "[core]\n",
  ".well-known/security.txt": "Contact: mailto:security@example.test\n",
  "assets/app.3f9a1c2b.js": "console.log('hashed')\n".repeat(100),
  "assets/logo.svg": `<svg xmlns="http://www.w3.org/2000/svg">${"<path d='M0 0h1'/>".repeat(100)}</svg>\n`,
  "docs/index.html": "<!doctype html><p>docs\n",
  "docs/guide.html": "<!doctype html><p>guide\n",
  "private/index.html": "<!doctype html><p>private\n",
  "private/secret.txt": "for members only\n",
  "office/index.html": "<!doctype html><p>office\n",
  "internal/index.html": "<!doctype html><p>internal\n",
  "spa/index.html": "<!doctype html><p>application\n",
  "spa/main.js": "console.log('application')\n",
  "files/one.txt": "one\n",
  "files/two.txt": "two, longer\n",
};

const PATHS_OF_FILES = [
  "/",
  "/index.html",
  "/about.html",
  "/app.js",
  "/style.css",
  "/small.css",
  "/data.json",
  "/picture.png",
  "/bytes.bin",
  "/empty.txt",
  "/notes.txt",
  "/with%20space.txt",
  "/%C3%BCn%C3%AF.txt",
  "/no-extension",
  "/archive.tar.gz",
  "/.well-known/security.txt",
  "/assets/app.3f9a1c2b.js",
  "/assets/logo.svg",
  "/docs/",
  "/docs/guide.html",
  "/notes.txt?version=2",
];

const MISSING = [
  "/missing",
  "/missing.html",
  "/missing.js",
  "/docs/missing",
  "/missing/",
  "/notes.txt/",
  "/notes.txt/more",
  "/INDEX.HTML",
  "/notes.TXT",
  "/notes%2Etxt%00",
];

const TRAVERSALS = [
  "/../etc/passwd",
  "/..%2f..%2fetc/passwd",
  "/%2e%2e/%2e%2e/etc/passwd",
  "/docs/../notes.txt",
  "/docs/./guide.html",
  "/docs/%2e%2e/notes.txt",
  "/docs//guide.html",
  "//notes.txt",
  "///docs///guide.html",
  "/docs/..\\..\\etc/passwd",
  "/..%5c..%5cetc/passwd",
  "/.env",
  "/.git/config",
  "/%2eenv",
  "/.%65nv",
  "/docs/..%00/notes.txt",
  "/notes.txt%00.html",
  "/%",
  "/%zz",
  "/%C0%AE%C0%AE/etc/passwd",
  "/docs/../../../../notes.txt",
  "/a/b/c/../../../notes.txt",
  "/./notes.txt",
  "/docs/..;/notes.txt",
  "/notes.txt;v=1",
  "/notes.txt%20",
  "/docs%2Fguide.html",
];

const RANGES = [
  "bytes=0-0",
  "bytes=0-99",
  "bytes=100-",
  "bytes=-1",
  "bytes=-100",
  "bytes=9999-",
  "bytes=10000-",
  "bytes=20000-30000",
  "bytes=-0",
  "bytes=-20000",
  "bytes=5-2",
  "bytes=0-99,200-299",
  "bytes=0-0,-1",
  "bytes=0-99999999999999999999",
  "bytes=abc",
  "bytes=",
  "items=0-1",
  "bytes=0-9,20000-",
  "bytes= 0-9",
];

const CODINGS = [
  "gzip",
  "gzip, deflate, br",
  "identity",
  "gzip;q=0",
  "*",
  "gzip;q=0.5, identity;q=1",
  "deflate",
  "GZIP",
  "gzip;q=0.000",
  "*;q=0",
];

const DATES = [
  "Thu, 01 Jan 1970 00:00:00 GMT",
  "Fri, 31 Dec 2038 00:00:00 GMT",
  "not a date",
  "Sunday, 06-Nov-94 08:49:37 GMT",
];

/** Credentials of the example: `ada` with `lovelace`. */
function basic(user: string, password: string): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` };
}

function many(group: string, questions: readonly Question[]): ComparedQuestion[] {
  return questions.map((question) => ({ group, ...question }));
}

const plain = (path: string): Question => ({ path });

/** All questions, about 300. */
export const QUESTIONS: readonly ComparedQuestion[] = [
  ...many("files", PATHS_OF_FILES.map(plain)),
  ...many(
    "files",
    PATHS_OF_FILES.map((path) => ({ path, method: "HEAD" })),
  ),
  ...many("missing", MISSING.map(plain)),
  ...many(
    "missing",
    MISSING.slice(0, 4).map((path) => ({ path, method: "HEAD" })),
  ),
  ...many("traversal", TRAVERSALS.map(plain)),
  ...many(
    "traversal",
    TRAVERSALS.map((path) => ({ path: `/private${path}` })),
  ),
  ...many(
    "ranges",
    RANGES.map((range) => ({ path: "/bytes.bin", headers: { range } })),
  ),
  ...many(
    "ranges",
    RANGES.slice(0, 4).map((range) => ({ path: "/bytes.bin", method: "HEAD", headers: { range } })),
  ),
  ...many("ranges", [
    { path: "/empty.txt", headers: { range: "bytes=0-" } },
    { path: "/empty.txt", headers: { range: "bytes=-1" } },
    { path: "/app.js", headers: { range: "bytes=0-9", "accept-encoding": "gzip" } },
    { path: "/missing", headers: { range: "bytes=0-9" } },
  ]),
  ...["/app.js", "/bytes.bin", "/index.html"].flatMap((path) =>
    (["if-none-match", "if-match", "if-range"] as const).flatMap((name) => [
      {
        group: "conditionals",
        path,
        headers: { range: "bytes=0-9" },
        validators: { of: path, send: [name] },
      },
      { group: "conditionals", path, validators: { of: path, send: [name] } },
      { group: "conditionals", path, headers: { [name]: '"other"' } },
      { group: "conditionals", path, method: "HEAD", validators: { of: path, send: [name] } },
    ]),
  ),
  ...many(
    "conditionals",
    DATES.flatMap((date) =>
      ["if-modified-since", "if-unmodified-since", "if-range"].map((name) => ({
        path: "/bytes.bin",
        headers: { [name]: date, ...(name === "if-range" ? { range: "bytes=0-9" } : {}) },
      })),
    ),
  ),
  ...many("conditionals", [
    { path: "/bytes.bin", headers: { "if-none-match": "*" } },
    { path: "/bytes.bin", headers: { "if-match": "*" } },
    { path: "/missing", headers: { "if-none-match": "*" } },
    { path: "/bytes.bin", headers: { "if-none-match": '"a", "b"' } },
    {
      path: "/bytes.bin",
      headers: { "if-none-match": 'W/"a"', "if-modified-since": DATES[1] ?? "" },
    },
  ]),
  ...many(
    "codings",
    ["/app.js", "/style.css", "/small.css", "/picture.png"].flatMap((path) =>
      CODINGS.map((coding) => ({ path, headers: { "accept-encoding": coding } })),
    ),
  ),
  ...many("codings", [
    { path: "/app.js", method: "HEAD", headers: { "accept-encoding": "gzip" } },
    { path: "/missing", headers: { "accept-encoding": "gzip" } },
    { path: "/data.json", headers: { "accept-encoding": "gzip" } },
    { path: "/archive.tar.gz", headers: { "accept-encoding": "gzip" } },
  ]),
  ...many(
    "methods",
    ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"].flatMap((method) =>
      ["/notes.txt", "/missing", "/"].map((path) => ({ path, method })),
    ),
  ),
  ...many("redirects", [
    plain("/old"),
    plain("/old?query=1"),
    plain("/blog/2024/first"),
    plain("/blog/2024/first?page=2"),
    { path: "/old", method: "HEAD" },
    { path: "/old", method: "POST", body: "a=1" },
    plain("/docs"),
    plain("/docs?query=1"),
    plain("/files"),
    plain("//evil.example/.."),
    plain("/moved/deep/path"),
    plain("/gone"),
    plain("/teapot"),
  ]),
  ...many("hosts", [
    { path: "/notes.txt", host: "example.test" },
    { path: "/a?b=c", host: "example.test" },
    { path: "/notes.txt", host: "WWW.EXAMPLE.TEST" },
    { path: "/notes.txt", host: "www.example.test:8080" },
    { path: "/notes.txt", host: "www.example.test." },
    { path: "/", host: "unknown.example" },
    { path: "/notes.txt", host: "127.0.0.1" },
    { path: "/", host: "shop.example.test" },
    { path: "/", host: "a.b.wild.example.test" },
    { path: "/", host: "a.wild.example.test" },
    { path: "/plain", host: "secure.example.test" },
    { path: "/plain?x=1", host: "secure.example.test", method: "POST", body: "x" },
    { path: "/plain", host: "secure.example.test", tls: true },
  ]),
  ...many("auth", [
    plain("/private/"),
    plain("/private/secret.txt"),
    { path: "/private/secret.txt", headers: basic("ada", "lovelace") },
    { path: "/private/secret.txt", method: "HEAD", headers: basic("ada", "lovelace") },
    { path: "/private/secret.txt", headers: basic("ada", "wrong") },
    { path: "/private/secret.txt", headers: basic("eve", "lovelace") },
    { path: "/private/secret.txt", headers: basic("ada", "") },
    { path: "/private/secret.txt", headers: { authorization: "Bearer abc" } },
    { path: "/private/secret.txt", headers: { authorization: "Basic" } },
    { path: "/private/secret.txt", headers: { authorization: "Basic !!!" } },
    { path: "/private/missing", headers: basic("ada", "lovelace") },
    { path: "/private/missing" },
    { path: "/private", headers: basic("ada", "lovelace") },
    plain("/private"),
    plain("//private/secret.txt"),
    plain("/docs/../private/secret.txt"),
    plain("/%70rivate/secret.txt"),
    plain("/PRIVATE/secret.txt"),
    plain("/private%2Fsecret.txt"),
    plain("/private/./secret.txt"),
    plain("/./private/secret.txt"),
    { path: "/private/secret.txt", method: "POST", body: "x" },
  ]),
  ...many("addresses", [
    plain("/internal/"),
    plain("/office/"),
    { path: "/office/", headers: { "x-forwarded-for": "10.1.2.3" } },
    { path: "/office/", headers: { "x-forwarded-for": "192.0.2.1" } },
    { path: "/office/", headers: { "x-forwarded-for": "10.1.2.3, 192.0.2.1" } },
    { path: "/office/", headers: { "x-forwarded-for": "192.0.2.1, 10.1.2.3" } },
    { path: "/office/", headers: { "x-forwarded-for": "garbage" } },
    plain("//office/"),
    plain("/office/../internal/"),
  ]),
  ...many("fallbacks", [
    plain("/spa/"),
    plain("/spa/main.js"),
    { path: "/spa/users/7", headers: { accept: "text/html" } },
    plain("/spa/missing.js"),
    { path: "/spa/users", method: "HEAD", headers: { accept: "text/html" } },
  ]),
  ...many("listing", [
    plain("/files/one.txt"),
    { path: "/files/", headers: { accept: "application/json" } },
    { path: "/files/", method: "HEAD", headers: { accept: "application/json" } },
    plain("/assets/"),
  ]),
  ...many("limits", [
    { path: "/upload", method: "POST", body: "x".repeat(2_000) },
    { path: "/upload", method: "POST", body: "x" },
    { path: `/${"a".repeat(20_000)}` },
    { path: "/notes.txt", headers: { "x-long": "b".repeat(40_000) } },
  ]),
  ...many("fields", [
    { path: "/notes.txt", tls: true },
    { path: "/missing", tls: true },
    { path: "/old", tls: true },
    { path: "/assets/logo.svg", tls: true },
    { path: "/private/secret.txt", tls: true },
    { path: "/bytes.bin", tls: true, headers: { range: "bytes=0-9" } },
    { path: "/bytes.bin", tls: true, headers: { "if-match": '"other"' } },
  ]),
];
