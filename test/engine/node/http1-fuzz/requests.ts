import * as fc from "fast-check";

const METHODS = [
  "POST",
  "HEAD",
  "PUT",
  "OPTIONS",
  "DELETE",
  "get",
  "FOO",
  "TRACE",
  "PRI",
  "M-SEARCH",
];
const TARGETS = [
  "/",
  "/a?b=c",
  "/%2e/",
  "*",
  "http://h/x",
  "HTTP://g",
  "http://h?x",
  "https://h/",
  "a",
  "/\xe9",
  "/a#b",
  "//",
  "/{}",
];
const VERSIONS = ["1.0", "1.0", "1.2", "2.0", "0.9", "1.1 ", "1.10"];
const LINE_ENDS = ["\n", "\r", "\r\n ", "\r\r\n", " \r\n"];

/** Field lines that all parsers must read in one way. */
const FIELDS = [
  "Connection: keep-alive",
  "Connection: X-A",
  // Without the option "upgrade": behind a request with both, `node:http` reads nothing more.
  "Upgrade: h2c",
  "Expect: 100-continue",
  "X-A: 1",
  "X-A:",
  "x-a:\t 1 \t",
  "X-A: \xe9\xa0",
  "X-B: a\tb",
  "X_A: 1",
  "Cookie: a=b",
  "Cookie: c=d",
];

/** Field lines that parsers are known to read in different ways, or that end a connection. */
const ODD_FIELDS = [
  "Connection: close",
  "Connection: keep-alive, close",
  "Host:g",
  "host: \th \t",
  "Host : h",
  "Host:",
  "Content-Length: 5",
  "Content-Length: 0",
  "Content-Length: +5",
  "Content-Length: 5, 5",
  "Content-Length: 05",
  "Content-Length: 5 ",
  "Content-Length: 0x5",
  "Content-Length:",
  "Content-Length: 18446744073709551621",
  "Transfer-Encoding: chunked",
  "Transfer-Encoding: Chunked",
  "transfer-encoding:\tchunked",
  "Transfer-Encoding: gzip, chunked",
  "Transfer-Encoding: chunked, identity",
  "Transfer-Encoding: identity",
  "Transfer-Encoding:",
  "Transfer-Encoding: \x0bchunked",
  "Transfer-Encoding: \xa0chunked",
  "Transfer-Encoding : chunked",
  "X-B: \x01",
  "X-B: \x7f",
  ": x",
  "X",
  " X: folded",
  "\tX",
  "X-(: 1",
];

/** Size lines of a chunk of five bytes. */
const SIZES = ["5", "05", "5;a", "5;a=b", '5;a="b;c"', '5;a="\\""'];
const ODD_SIZES = [
  "5 ;a",
  "5; a = b",
  "5\t;\ta",
  "5 ",
  " 5",
  "+5",
  "0x5",
  "5;",
  "5;a=",
  "5;a=b c",
  '5;a="b',
  "5;\x01",
  "5;\xe9",
  "g",
  "",
  "00000000000000000005",
  "10000000000000005",
];
const DATA = ["abcde", "ab\r\nc", "0\r\n\r\n"];
const TRAILERS = [
  "X: 1\r\n",
  "X : 1\r\n",
  "X\r\n",
  " X: 1\r\n",
  "Host: x\r\n",
  "Content-Length: 3\r\n",
];
const LAST_SIZES = ["00", "0;a", "0 ;a", "-0", "", "0 "];

/** Bytes that mean something to a parser. */
const BYTES = '\0\t\n\r :,;*/0159afgAFG"\\\x7f\x80\xff'.split("");

/** One of the usual values, or rarely an odd one: most errors hide the rest of a connection. */
function mostly(usual: readonly string[], odd: readonly string[]): fc.Arbitrary<string> {
  return fc.oneof(
    { arbitrary: fc.constantFrom(...usual), weight: 24 },
    { arbitrary: fc.constantFrom(...odd), weight: 1 },
  );
}

const lineEnd = mostly(["\r\n"], LINE_ENDS);

const fieldLine = fc.tuple(mostly(FIELDS, ODD_FIELDS), lineEnd).map((parts) => parts.join(""));

const chunk = fc
  .tuple(mostly(SIZES, ODD_SIZES), lineEnd, mostly(DATA, ["abcdef", "abcd"]), lineEnd)
  .map((parts) => parts.join(""));

const chunked = fc
  .tuple(
    fc.array(chunk, { maxLength: 3 }).map((chunks) => chunks.join("")),
    mostly(["0"], LAST_SIZES),
    lineEnd,
    mostly(["", "X: 1\r\n"], TRAILERS),
    lineEnd,
  )
  .map((parts) => parts.join(""));

/** Framing fields, and a body that fits them. */
const framing = fc.oneof(
  { arbitrary: fc.constant(["", ""] as const), weight: 3 },
  { arbitrary: fc.constant(["Content-Length: 5\r\n", "abcde"] as const), weight: 2 },
  {
    arbitrary: chunked.map((body) => ["Transfer-Encoding: chunked\r\n", body] as const),
    weight: 5,
  },
);

const request = fc
  .tuple(
    mostly([""], ["\r\n", "\n", "\r\n\r\n", " "]),
    mostly(["GET", "POST"], METHODS),
    mostly(["/a"], TARGETS),
    mostly(["1.1"], VERSIONS),
    lineEnd,
    mostly(["Host: h\r\n"], [""]),
    fc.array(fieldLine, { maxLength: 3 }),
    framing,
    lineEnd,
  )
  .map(
    ([before, method, target, version, end, host, lines, [fields, body], last]) =>
      `${before}${method} ${target} HTTP/${version}${end}${host}${lines.join("")}${fields}${last}${body}`,
  );

/** A change at one place of a text. */
const mutation = fc.record({
  at: fc.nat(),
  kind: fc.constantFrom("replace", "insert", "delete", "repeat", "cut"),
  byte: fc.constantFrom(...BYTES),
  length: fc.integer({ min: 1, max: 8 }),
});

type Mutation = typeof mutation extends fc.Arbitrary<infer T> ? T : never;

function mutate(text: string, { at, kind, byte, length }: Mutation): string {
  const from = at % (text.length + 1);
  const before = text.slice(0, from);
  switch (kind) {
    case "replace":
      return before + byte + text.slice(from + 1);
    case "insert":
      return before + byte + text.slice(from);
    case "delete":
      return before + text.slice(from + length);
    case "repeat":
      return before + text.slice(from, from + length) + text.slice(from);
    case "cut":
      return before;
  }
}

/** The bytes of one connection: one to three requests, some of them mutated. */
export const connectionBytes: fc.Arbitrary<Buffer> = fc
  .tuple(
    fc.array(request, { minLength: 1, maxLength: 3 }),
    fc.oneof(
      { arbitrary: fc.constant<Mutation[]>([]), weight: 2 },
      { arbitrary: fc.array(mutation, { minLength: 1, maxLength: 2 }), weight: 1 },
    ),
  )
  .map(([requests, mutations]) =>
    Buffer.from(mutations.reduce(mutate, requests.join("")), "latin1"),
  );
