/** A response as an upstream sends it, and its one meaning. */
export interface OddResponse {
  /** Section of RFC 9112, unless another RFC is named. */
  section: string;
  name: string;
  /** One character per byte. The upstream closes the connection after it. */
  bytes: string;
  method?: "GET" | "HEAD";
  asksForUpgrade?: boolean;
  /** `null`: it is refused. */
  meaning: Meaning | null;
}

export interface Meaning {
  status: number;
  body: string;
  /** Default: not looked at. */
  fields?: string;
  statusText?: string;
  informational?: number[];
  /** The connection may serve another request. Default: true. */
  keeps?: boolean;
  /** Bytes follow that belong to no response. */
  surplus?: boolean;
  switched?: boolean;
}

const OK = "HTTP/1.1 200 OK\r\n";
const FIVE = "Content-Length: 5\r\n";
const CHUNKED = "Transfer-Encoding: chunked\r\n";
const hello: Meaning = { status: 200, body: "hello" };
const empty: Meaning = { status: 200, body: "" };

/** Returns a 200 with these lines and a body of five bytes. */
function withFields(lines: string): string {
  return `${OK}${lines}${FIVE}\r\nhello`;
}

function chunked(body: string): string {
  return `${OK}${CHUNKED}\r\n${body}`;
}

/** A refused status line, before a valid rest. */
function line(name: string, text: string, section = "4"): OddResponse {
  return { section, name, bytes: `${text}\r\n${FIVE}\r\nhello`, meaning: null };
}

function field(name: string, text: string, section = "5.1"): OddResponse {
  return { section, name, bytes: withFields(text), meaning: null };
}

function kept(name: string, text: string, fields: string, section = "5.1"): OddResponse {
  return { section, name, bytes: withFields(text), meaning: { ...hello, fields } };
}

function length(name: string, value: string): OddResponse {
  const bytes = `${OK}Content-Length:${value}\r\n\r\nhello`;
  return { section: "6.3", name: `length ${name}`, bytes, meaning: null };
}

function size(name: string, text: string): OddResponse {
  return { section: "7.1", name: `chunk size ${name}`, bytes: chunked(text), meaning: null };
}

function coding(name: string, value: string): OddResponse {
  const bytes = `${OK}Transfer-Encoding:${value}\r\n\r\n5\r\nhello\r\n0\r\n\r\n`;
  return { section: "6.1", name: `coding ${name}`, bytes, meaning: null };
}

const STATUS_LINES: OddResponse[] = [
  line("a version in lower case", "http/1.1 200 OK", "2.3"),
  line("a version with mixed case", "Http/1.1 200 OK", "2.3"),
  line("version 0.9", "HTTP/0.9 200 OK", "2.3"),
  line("version 1.2", "HTTP/1.2 200 OK", "2.3"),
  line("version 2.0", "HTTP/2.0 200 OK", "2.3"),
  line("version 2 without a minor one", "HTTP/2 200 OK", "2.3"),
  line("version 1.10", "HTTP/1.10 200 OK", "2.3"),
  line("version 01.1", "HTTP/01.1 200 OK", "2.3"),
  line("version 1.", "HTTP/1. 200 OK", "2.3"),
  line("version 1,1", "HTTP/1,1 200 OK", "2.3"),
  line("a version with a space", "HTTP /1.1 200 OK", "2.3"),
  line("another protocol", "ICY 200 OK"),
  line("another protocol with a slash", "RTSP/1.0 200 OK"),
  line("a request", "GET / HTTP/1.1"),
  line("the greeting of SSH", "SSH-2.0-OpenSSH_9.6"),
  line("the greeting of a mail server", "220 mail.example ESMTP"),
  line("a record of TLS", "\x16\x03\x01\x02\x00\x01"),
  line("no version", "200 OK"),
  line("a space before the version", " HTTP/1.1 200 OK"),
  line("an empty line first", "\r\nHTTP/1.1 200 OK", "2.2"),
  line("a LF first", "\nHTTP/1.1 200 OK", "2.2"),
  line("a byte order mark first", "\xef\xbb\xbfHTTP/1.1 200 OK", "2.2"),
  line("two spaces before the status", "HTTP/1.1  200 OK"),
  line("a tab before the status", "HTTP/1.1\t200 OK"),
  line("no space before the status", "HTTP/1.1200 OK"),
  line("a form feed before the status", "HTTP/1.1\f200 OK"),
  line("no status", "HTTP/1.1 "),
  line("no status but a reason", "HTTP/1.1 OK"),
  line("a status of two digits", "HTTP/1.1 20 OK"),
  line("a status of one digit", "HTTP/1.1 2"),
  line("a status of four digits", "HTTP/1.1 2000 OK"),
  line("a status with a letter", "HTTP/1.1 20O OK"),
  line("a status with a sign", "HTTP/1.1 +20 OK"),
  line("a negative status", "HTTP/1.1 -20 OK"),
  line("a status with a point", "HTTP/1.1 2.0 OK"),
  line("a status in hexadecimal digits", "HTTP/1.1 0xC OK"),
  line("status 000", "HTTP/1.1 000 No", "4"),
  line("status 099", "HTTP/1.1 099 No", "4"),
  line("status 600", "HTTP/1.1 600 No", "4"),
  line("status 999", "HTTP/1.1 999 No", "4"),
  line("a status with a tab behind it", "HTTP/1.1 200\tOK"),
  line("a status with a letter behind it", "HTTP/1.1 200OK"),
  line("NUL in the reason", "HTTP/1.1 200 O\0K"),
  line("a bare CR in the reason", "HTTP/1.1 200 O\rK", "2.2"),
  line("a bare LF in the reason", "HTTP/1.1 200 O\nK", "2.2"),
  line("DEL in the reason", "HTTP/1.1 200 O\x7fK"),
  line("an escape in the reason", "HTTP/1.1 200 \x1b[31mOK"),
  {
    section: "4",
    name: "no reason, with its space",
    bytes: `HTTP/1.1 200 \r\n${FIVE}\r\nhello`,
    meaning: { ...hello, statusText: "" },
  },
  {
    section: "4",
    name: "no reason, without its space",
    bytes: `HTTP/1.1 200\r\n${FIVE}\r\nhello`,
    meaning: { ...hello, statusText: "" },
  },
  {
    section: "4",
    name: "a reason of several words",
    bytes: `HTTP/1.1 200 All is well\r\n${FIVE}\r\nhello`,
    meaning: { ...hello, statusText: "All is well" },
  },
  {
    section: "4",
    name: "a reason with bytes above ASCII",
    bytes: `HTTP/1.1 200 g\xfct\r\n${FIVE}\r\nhello`,
    meaning: { ...hello, statusText: "g\xfct" },
  },
  {
    section: "4",
    name: "a reason with a tab",
    bytes: `HTTP/1.1 200 a\tb\r\n${FIVE}\r\nhello`,
    meaning: { ...hello, statusText: "a\tb" },
  },
  {
    section: "4",
    name: "a status without a name",
    bytes: `HTTP/1.1 299 Mine\r\n${FIVE}\r\nhello`,
    meaning: { ...hello, status: 299 },
  },
  {
    section: "4",
    name: "status 599",
    bytes: `HTTP/1.1 599 Mine\r\n${FIVE}\r\nhello`,
    meaning: { ...hello, status: 599 },
  },
  {
    section: "2.3",
    name: "HTTP/1.0 with a length",
    bytes: `HTTP/1.0 200 OK\r\n${FIVE}\r\nhello`,
    meaning: { ...hello, keeps: false },
  },
  {
    section: "2.3",
    name: "HTTP/1.0 to the end",
    bytes: "HTTP/1.0 200 OK\r\n\r\nhello",
    meaning: { ...hello, keeps: false },
  },
  {
    section: "9.3",
    name: "HTTP/1.0 that offers to keep the connection",
    bytes: `HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n${FIVE}\r\nhello`,
    meaning: { ...hello, keeps: false },
  },
];

const LINES: OddResponse[] = [
  {
    section: "2.2",
    name: "LF at the end of all lines",
    bytes: "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    meaning: null,
  },
  {
    section: "2.2",
    name: "LF at the end of the status line",
    bytes: `HTTP/1.1 200 OK\n${FIVE}\r\nhello`,
    meaning: null,
  },
  {
    section: "2.2",
    name: "LF at the end of one field",
    bytes: withFields("A: b\n"),
    meaning: null,
  },
  {
    section: "2.2",
    name: "CR at the end of one field",
    bytes: withFields("A: b\r"),
    meaning: null,
  },
  {
    section: "2.2",
    name: "CR CR LF at the end of one field",
    bytes: withFields("A: b\r\r\n"),
    meaning: null,
  },
  {
    section: "2.2",
    name: "LF CR at the end of one field",
    bytes: withFields("A: b\n\r"),
    meaning: null,
  },
  { section: "2.2", name: "an empty line of LF only", bytes: `${OK}${FIVE}\nhello`, meaning: null },
  {
    section: "2.2",
    name: "an empty line of CR only",
    bytes: `${OK}${FIVE}\rhello\r\n\r\n`,
    meaning: null,
  },
  { section: "2.2", name: "the end within the status line", bytes: "HTTP/1.1 20", meaning: null },
  { section: "2.2", name: "the end within a field", bytes: `${OK}Content-Le`, meaning: null },
  { section: "2.2", name: "the end before the empty line", bytes: `${OK}${FIVE}`, meaning: null },
  { section: "2.2", name: "the end within the empty line", bytes: `${OK}${FIVE}\r`, meaning: null },
  { section: "9.6", name: "the end at once", bytes: "", meaning: null },
];

const FIELDS: OddResponse[] = [
  field("a space before the colon", "A : b\r\n"),
  field("a tab before the colon", "A\t: b\r\n"),
  field("a space before the colon of a length", "Content-Length : 3\r\n"),
  field("a space within a name", "A B: c\r\n"),
  field("no name", ": b\r\n"),
  field("no colon", "A b\r\n"),
  field("a line of a space", " \r\n", "5.2"),
  field("a folded value", "A: b\r\n c\r\n", "5.2"),
  field("a value folded with a tab", "A: b\r\n\tc\r\n", "5.2"),
  field("a fold before the first field", " A: b\r\n", "5.2"),
  field("a folded length", "Content-Length:\r\n 5\r\n", "5.2"),
  field("a folded coding", "Transfer-Encoding:\r\n chunked\r\n", "5.2"),
  field("NUL in a name", "A\0: b\r\n"),
  field("NUL in a value", "A: b\0c\r\n", "RFC 9110 5.5"),
  field("NUL at the end of a value", "A: b\0\r\n", "RFC 9110 5.5"),
  field("a bare CR in a value", "A: b\rc\r\n", "2.2"),
  field("a bare CR before a length", "A: b\rContent-Length: 3\r\n", "2.2"),
  field("a backspace in a value", "A: b\bc\r\n", "RFC 9110 5.5"),
  field("an escape in a value", "A: \x1b[2J\r\n", "RFC 9110 5.5"),
  field("DEL in a value", "A: b\x7f\r\n", "RFC 9110 5.5"),
  field("a form feed in a value", "A: b\fc\r\n", "RFC 9110 5.5"),
  field("a vertical tab around a value", "A:\vb\r\n", "RFC 9110 5.5"),
  field("a slash in a name", "A/B: c\r\n"),
  field("parentheses in a name", "A(B): c\r\n"),
  field("an at sign in a name", "A@B: c\r\n"),
  field("brackets in a name", "A[B]: c\r\n"),
  field("a quote in a name", 'A"B: c\r\n'),
  field("a comma in a name", "A,B: c\r\n"),
  field("a semicolon in a name", "A;B: c\r\n"),
  field("an equals sign in a name", "A=B: c\r\n"),
  field("a byte above ASCII in a name", "\xc4: c\r\n"),
  field("a second status line", "HTTP/1.1 200 OK\r\n"),
  kept("an empty value", "A:\r\n", "a\n"),
  kept("a value of spaces", "A:   \r\n", "a\n"),
  kept("no space before a value", "A:b\r\n", "a\nb"),
  kept("spaces and tabs around a value", "A: \t b \t\r\n", "a\nb"),
  kept("spaces and tabs within a value", "A: b \t c\r\n", "a\nb \t c"),
  kept("colons in a value", "A: :b:c:\r\n", "a\n:b:c:"),
  kept("bytes above ASCII in a value", "A: \xc3\xa4\xff\r\n", "a\n\xc3\xa4\xff"),
  kept("all characters of a token", "!#$%&'*+-.^_`|~09azAZ: b\r\n", "!#$%&'*+-.^_`|~09azaz\nb"),
  kept(
    "one name in several fields",
    "Set-Cookie: a=1\r\nset-cookie: b=2\r\n",
    "set-cookie\na=1\nset-cookie\nb=2",
  ),
  kept("a long value", `A: ${"b".repeat(30_000)}\r\n`, `a\n${"b".repeat(30_000)}`),
  kept(
    "fields of the connection",
    "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\nTE: x\r\nTrailer: x\r\nUpgrade: h2c\r\nA: b\r\n",
    "a\nb",
    "RFC 9110 7.6.1",
  ),
  kept(
    "a field that Connection names",
    "X-Hop: 1\r\nConnection: x-HOP\r\nA: b\r\nX-Hop: 2\r\n",
    "a\nb",
    "RFC 9110 7.6.1",
  ),
  kept(
    "fields that two Connection fields name",
    "Connection: x-a, x-b\r\nX-A: 1\r\nX-B: 2\r\nConnection: , x-c ,\r\nX-C: 3\r\nA: b\r\n",
    "a\nb",
    "RFC 9110 7.6.1",
  ),
  {
    section: "9.6",
    name: "Connection: close",
    bytes: withFields("Connection: close\r\n"),
    meaning: { ...hello, keeps: false },
  },
  {
    section: "9.6",
    name: "close in a list, in upper case",
    bytes: withFields("Connection: keep-alive , CLOSE\r\n"),
    meaning: { ...hello, keeps: false },
  },
  {
    section: "9.6",
    name: "close in a second field",
    bytes: withFields("Connection: keep-alive\r\nConnection: close\r\n"),
    meaning: { ...hello, keeps: false },
  },
  {
    section: "9.6",
    name: "an option that contains close",
    bytes: withFields("Connection: closed\r\n"),
    meaning: { ...hello, keeps: true },
  },
  {
    section: "5",
    name: "a thousand fields",
    bytes: withFields("A: b\r\n".repeat(1000)),
    meaning: null,
  },
  {
    section: "5",
    name: "a head above the limit",
    bytes: withFields(`A: ${"b".repeat(70_000)}\r\n`),
    meaning: null,
  },
];

const LENGTHS: OddResponse[] = [
  length("without a value", ""),
  length("of spaces", "  "),
  length("with a plus", " +5"),
  length("below zero", " -5"),
  length("of minus zero", " -0"),
  length("in hexadecimal digits", " 0x5"),
  length("with a letter", " 5a"),
  length("of letters", " five"),
  length("with a point", " 5.0"),
  length("with an exponent", " 5e0"),
  length("with a space within", " 5 5"),
  length("with a tab within", " 5\t5"),
  length("with a thousands separator", " 5_0"),
  length("in quotes", ' "5"'),
  length("with other digits", " \xd9\xa5"),
  length("with NUL", " 5\0"),
  length("above what a number can count", " 9007199254740993"),
  length("of 20 digits", " 18446744073709551621"),
  length("of 40 digits", ` ${"9".repeat(40)}`),
  length("with two values", " 5, 6"),
  length("with an empty second value", " 5,"),
  length("with an empty first value", " ,5"),
  length("with a semicolon", " 5;"),
  {
    section: "6.3",
    name: "two different lengths",
    bytes: withFields("Content-Length: 6\r\n"),
    meaning: null,
  },
  {
    section: "6.3",
    name: "three lengths, the last one different",
    bytes: withFields("Content-Length: 5\r\nContent-Length: 4\r\n"),
    meaning: null,
  },
  { section: "6.3", name: "two equal lengths", bytes: withFields(FIVE), meaning: hello },
  {
    section: "6.3",
    name: "a list of equal lengths",
    bytes: `${OK}Content-Length: 5, 5\r\n\r\nhello`,
    meaning: hello,
  },
  {
    section: "RFC 9110 8.6",
    name: "a length with zeros before it",
    bytes: `${OK}Content-Length: 0005\r\n\r\nhello`,
    meaning: hello,
  },
  { section: "6.3", name: "length zero", bytes: `${OK}Content-Length: 0\r\n\r\n`, meaning: empty },
  {
    section: "6.3",
    name: "length zero, and bytes behind it",
    bytes: `${OK}Content-Length: 0\r\n\r\nhello`,
    meaning: { ...empty, surplus: true },
  },
  {
    section: "6.3",
    name: "more bytes than the length",
    bytes: `${OK}${FIVE}\r\nhello, world`,
    meaning: { ...hello, surplus: true },
  },
  {
    section: "9.2",
    name: "a second response behind the first",
    bytes: `${OK}${FIVE}\r\nhello${OK}${FIVE}\r\nhello`,
    meaning: { ...hello, surplus: true },
  },
  {
    section: "8",
    name: "fewer bytes than the length",
    bytes: `${OK}${FIVE}\r\nhell`,
    meaning: null,
  },
  { section: "8", name: "no bytes of the length", bytes: `${OK}${FIVE}\r\n`, meaning: null },
  {
    section: "6.3",
    name: "a body to the end",
    bytes: `${OK}\r\nhello`,
    meaning: { ...hello, keeps: false },
  },
  {
    section: "6.3",
    name: "an empty body to the end",
    bytes: `${OK}\r\n`,
    meaning: { ...empty, keeps: false },
  },
  {
    section: "6.3",
    name: "a body to the end that looks like a response",
    bytes: `${OK}\r\n${OK}`,
    meaning: { status: 200, body: OK, keeps: false },
  },
  {
    section: "6.3",
    name: "no fields and no body to HEAD",
    bytes: `${OK}\r\n`,
    method: "HEAD",
    meaning: { ...empty, fields: "" },
  },
  {
    section: "RFC 9110 8.6",
    name: "a length to HEAD",
    bytes: `${OK}${FIVE}\r\n`,
    method: "HEAD",
    meaning: { ...empty, fields: "content-length\n5" },
  },
  {
    section: "6.1",
    name: "chunks announced to HEAD",
    bytes: `${OK}${CHUNKED}\r\n`,
    method: "HEAD",
    meaning: empty,
  },
  {
    section: "9.3",
    name: "a body to HEAD",
    bytes: `${OK}${FIVE}\r\nhello`,
    method: "HEAD",
    meaning: { ...empty, surplus: true },
  },
  {
    section: "6.3",
    name: "status 204",
    bytes: "HTTP/1.1 204 No Content\r\n\r\n",
    meaning: { status: 204, body: "" },
  },
  {
    section: "RFC 9110 8.6",
    name: "status 204 with length zero",
    bytes: "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
    meaning: { status: 204, body: "" },
  },
  {
    section: "6.3",
    name: "status 204 with a length",
    bytes: `HTTP/1.1 204 No Content\r\n${FIVE}\r\n`,
    meaning: { status: 204, body: "", keeps: false },
  },
  {
    section: "6.3",
    name: "status 204 with a body",
    bytes: `HTTP/1.1 204 No Content\r\n${FIVE}\r\nhello`,
    meaning: { status: 204, body: "", keeps: false, surplus: true },
  },
  {
    section: "6.1",
    name: "status 204 with chunks announced",
    bytes: `HTTP/1.1 204 No Content\r\n${CHUNKED}\r\n`,
    meaning: { status: 204, body: "", keeps: false },
  },
  {
    section: "RFC 9110 15.4.5",
    name: "status 304 with a length",
    bytes: `HTTP/1.1 304 Not Modified\r\n${FIVE}ETag: "a"\r\n\r\n`,
    meaning: { status: 304, body: "", fields: 'etag\n"a"\ncontent-length\n5' },
  },
  {
    section: "6.3",
    name: "status 304 with a body",
    bytes: `HTTP/1.1 304 Not Modified\r\n${FIVE}\r\nhello`,
    meaning: { status: 304, body: "", surplus: true },
  },
  {
    section: "RFC 9110 15.3.6",
    name: "status 205 with length zero",
    bytes: "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n",
    meaning: { status: 205, body: "" },
  },
  {
    section: "6.3",
    name: "status 404 with a body",
    bytes: `HTTP/1.1 404 Not Found\r\n${FIVE}\r\nhello`,
    meaning: { ...hello, status: 404 },
  },
];

const CODINGS: OddResponse[] = [
  {
    section: "6.3",
    name: "length and chunks",
    bytes: `${OK}${FIVE}${CHUNKED}\r\n0\r\n\r\n`,
    meaning: null,
  },
  {
    section: "6.3",
    name: "chunks and length",
    bytes: `${OK}${CHUNKED}${FIVE}\r\n0\r\n\r\n`,
    meaning: null,
  },
  {
    section: "6.1",
    name: "chunks with HTTP/1.0",
    bytes: `HTTP/1.0 200 OK\r\n${CHUNKED}\r\n0\r\n\r\n`,
    meaning: null,
  },
  {
    section: "6.1",
    name: "chunks twice",
    bytes: `${OK}${CHUNKED}${CHUNKED}\r\n0\r\n\r\n`,
    meaning: null,
  },
  coding("without a value", ""),
  coding("identity", " identity"),
  coding("gzip", " gzip"),
  coding("gzip before chunked", " gzip, chunked"),
  coding("chunked before gzip", " chunked, gzip"),
  coding("chunked twice in a list", " chunked, chunked"),
  coding("chunked and an empty value", " chunked,"),
  coding("an empty value and chunked", " ,chunked"),
  coding("chunked with a parameter", " chunked;q=1"),
  coding("chunked in quotes", ' "chunked"'),
  coding("xchunked", " xchunked"),
  coding("chunkedx", " chunkedx"),
  coding("chunked with a vertical tab", " \vchunked"),
  coding("chunked with a byte above ASCII", " chunked\xa0"),
  coding("chunked with the Kelvin sign's bytes", " chun\xe2\x84\xaaed"),
  {
    section: "7",
    name: "Chunked in mixed case",
    bytes: `${OK}Transfer-Encoding: ChunKED\r\n\r\n0\r\n\r\n`,
    meaning: empty,
  },
  {
    section: "5.1",
    name: "chunks in a field with spaces around",
    bytes: `${OK}Transfer-Encoding: \t chunked \t\r\n\r\n0\r\n\r\n`,
    meaning: empty,
  },
  {
    section: "RFC 9110 7.6.1",
    name: "a coding that Connection names",
    bytes: `${OK}Connection: transfer-encoding\r\n${CHUNKED}\r\n5\r\nhello\r\n0\r\n\r\n`,
    meaning: hello,
  },
  {
    section: "RFC 9110 7.6.1",
    name: "a length that Connection names",
    bytes: withFields("Connection: content-length\r\n"),
    meaning: hello,
  },
];

const CHUNKS: OddResponse[] = [
  size("with a plus", "+5\r\nhello\r\n0\r\n\r\n"),
  size("below zero", "-5\r\nhello\r\n0\r\n\r\n"),
  size("with a prefix", "0x5\r\nhello\r\n0\r\n\r\n"),
  size("with a space before it", " 5\r\nhello\r\n0\r\n\r\n"),
  size("with a tab before it", "\t5\r\nhello\r\n0\r\n\r\n"),
  size("with a space behind it", "5 \r\nhello\r\n0\r\n\r\n"),
  size("without digits", "\r\nhello\r\n0\r\n\r\n"),
  size("with a letter behind F", "g\r\nhello\r\n0\r\n\r\n"),
  size("with a colon", "5:\r\nhello\r\n0\r\n\r\n"),
  size("with an underscore", "0_5\r\nhello\r\n0\r\n\r\n"),
  size("with a point", "5.0\r\nhello\r\n0\r\n\r\n"),
  size("with NUL", "5\0\r\nhello\r\n0\r\n\r\n"),
  size("in two numbers", "5 5\r\nhello\r\n0\r\n\r\n"),
  size("above what a number can count", "20000000000001\r\nhello\r\n0\r\n\r\n"),
  size("of 2 to the 64th power and five", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
  size("of all ones", "FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"),
  size("of five thousand zeros", `${"0".repeat(5000)}5\r\nhello\r\n0\r\n\r\n`),
  size("with LF only", "5\nhello\r\n0\r\n\r\n"),
  size("with CR only", "5\rhello\r\n0\r\n\r\n"),
  size("with CR CR LF", "5\r\r\nhello\r\n0\r\n\r\n"),
  size("zero with LF only", "5\r\nhello\r\n0\n\r\n"),
  size("below the data", "4\r\nhello\r\n0\r\n\r\n"),
  size("above the data", "6\r\nhello\r\n0\r\n\r\n"),
  size("of data with LF only behind", "5\r\nhello\n0\r\n\r\n"),
  size("of data with CR only behind", "5\r\nhello\r0\r\n\r\n"),
  size("of data with nothing behind", "5\r\nhello0\r\n\r\n"),
  size("of data with spaces behind", "5\r\nhello  0\r\n\r\n"),
  size("of data that end", "5\r\nhel"),
  size("that ends", "5"),
  size("and the end before the last chunk", "5\r\nhello\r\n"),
  size("and the end before the last line", "5\r\nhello\r\n0\r\n"),
  size("and the end within the last line", "5\r\nhello\r\n0\r\n\r"),
  size("with an extension without a name", "5;\r\nhello\r\n0\r\n\r\n"),
  size("with an extension without a value", "5;a=\r\nhello\r\n0\r\n\r\n"),
  size("with a quote that does not end", '5;a="b\r\nhello\r\n0\r\n\r\n'),
  size("with LF in an extension", "5;a=\n5\r\nhello\r\n0\r\n\r\n"),
  size("with a bare CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
  size("with NUL in an extension", "5;a\0\r\nhello\r\n0\r\n\r\n"),
  size("with an extension of 5000 bytes", `5;a=${"b".repeat(5000)}\r\nhello\r\n0\r\n\r\n`),
  size("with 20,000 bytes of extensions", `1;a=${"b".repeat(2000)}\r\nh\r\n`.repeat(10)),
  {
    section: "7.1",
    name: "sizes with letters of both cases",
    bytes: chunked(`A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n`),
    meaning: { status: 200, body: "01234567890123456789" },
  },
  {
    section: "7.1",
    name: "a size with zeros before it",
    bytes: chunked("0005\r\nhello\r\n000\r\n\r\n"),
    meaning: hello,
  },
  {
    section: "7.1",
    name: "chunks of one byte",
    bytes: chunked(
      `${["h", "e", "l", "l", "o"].map((letter) => `1\r\n${letter}\r\n`).join("")}0\r\n\r\n`,
    ),
    meaning: hello,
  },
  {
    section: "7.1",
    name: "data that looks like the last chunk",
    bytes: chunked("5\r\n0\r\n\r\n\r\n0\r\n\r\n"),
    meaning: { status: 200, body: "0\r\n\r\n" },
  },
  {
    section: "7.1.1",
    name: "extensions",
    bytes: chunked('5;a;b=c;d="e;\\"\r"\r\nhello\r\n0\r\n\r\n'.replace('\r"', '"')),
    meaning: hello,
  },
  {
    section: "7.1.1",
    name: "extensions with spaces",
    bytes: chunked("5 ; a = b \t;\tc\r\nhello\r\n0;last\r\n\r\n"),
    meaning: hello,
  },
  {
    section: "7.1.2",
    name: "trailers",
    bytes: chunked("5\r\nhello\r\n0\r\nA: b\r\nContent-Length: 3\r\n\r\n"),
    meaning: { ...hello, fields: "" },
  },
  {
    section: "7.1.2",
    name: "a trailer with a space before the colon",
    bytes: chunked("5\r\nhello\r\n0\r\nA : b\r\n\r\n"),
    meaning: null,
  },
  {
    section: "7.1.2",
    name: "a trailer without a colon",
    bytes: chunked("5\r\nhello\r\n0\r\nA\r\n\r\n"),
    meaning: null,
  },
  {
    section: "7.1.2",
    name: "a folded trailer",
    bytes: chunked("5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n"),
    meaning: null,
  },
  {
    section: "7.1.2",
    name: "a trailer with LF only",
    bytes: chunked("5\r\nhello\r\n0\r\nA: b\n\r\n"),
    meaning: null,
  },
  {
    section: "7.1.2",
    name: "NUL in a trailer",
    bytes: chunked("5\r\nhello\r\n0\r\nA: \0\r\n\r\n"),
    meaning: null,
  },
  {
    section: "7.1.2",
    name: "a thousand trailers",
    bytes: chunked(`5\r\nhello\r\n0\r\n${"A: b\r\n".repeat(1000)}\r\n`),
    meaning: null,
  },
  {
    section: "7.1.2",
    name: "trailers above the limit",
    bytes: chunked(`5\r\nhello\r\n0\r\nA: ${"b".repeat(70_000)}\r\n\r\n`),
    meaning: null,
  },
  {
    section: "7.1",
    name: "bytes behind the last chunk",
    bytes: chunked("5\r\nhello\r\n0\r\n\r\nmore"),
    meaning: { ...hello, surplus: true },
  },
];

const INFORMATIONAL: OddResponse[] = [
  {
    section: "RFC 9110 15.2",
    name: "100 before the response",
    bytes: `HTTP/1.1 100 Continue\r\n\r\n${withFields("")}`,
    meaning: { ...hello, informational: [100] },
  },
  {
    section: "RFC 8297 2",
    name: "several 103 before the response",
    bytes: `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n${withFields("")}`,
    meaning: { ...hello, informational: [103, 103] },
  },
  {
    section: "6.3",
    name: "103 with a length",
    bytes: `HTTP/1.1 103 Early Hints\r\n${FIVE}\r\n${withFields("")}`,
    meaning: { ...hello, informational: [103] },
  },
  {
    section: "RFC 9110 15.2",
    name: "199 before the response",
    bytes: `HTTP/1.1 199 Mine\r\n\r\n${withFields("")}`,
    meaning: { ...hello, informational: [199] },
  },
  {
    section: "RFC 9110 15.2",
    name: "only 100",
    bytes: "HTTP/1.1 100 Continue\r\n\r\n",
    meaning: null,
  },
  {
    section: "RFC 9110 15.2",
    name: "a malformed response after 100",
    bytes: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 2000 OK\r\n\r\n",
    meaning: null,
  },
  {
    section: "RFC 9110 15.2",
    name: "100 after 100, without an end",
    bytes: "HTTP/1.1 100 Continue\r\n\r\n".repeat(100),
    meaning: null,
  },
  {
    section: "RFC 9110 15.2.2",
    name: "101 without a request for it",
    bytes: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    meaning: null,
  },
  {
    section: "RFC 9110 7.8",
    name: "101 after a request for it",
    bytes:
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\nframes",
    asksForUpgrade: true,
    meaning: {
      status: 101,
      body: "frames",
      fields: "upgrade\nwebsocket\nsec-websocket-accept\nx",
      switched: true,
    },
  },
  {
    section: "RFC 6455 4.1",
    name: "101 without Connection",
    bytes: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nframes",
    asksForUpgrade: true,
    meaning: null,
  },
  {
    section: "RFC 6455 4.1",
    name: "101 with a Connection that does not name upgrade",
    bytes:
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: keep-alive\r\n\r\nframes",
    asksForUpgrade: true,
    meaning: null,
  },
  {
    section: "RFC 6455 4.1",
    name: "101 with a list in Connection that names upgrade",
    bytes:
      "HTTP/1.1 101 Switching Protocols\r\nConnection: keep-alive, UPGRADE\r\nUpgrade: websocket\r\n\r\nframes",
    asksForUpgrade: true,
    meaning: { status: 101, body: "frames", fields: "upgrade\nwebsocket", switched: true },
  },
  {
    section: "RFC 9110 7.8",
    name: "200 after a request for another protocol",
    bytes: withFields(""),
    asksForUpgrade: true,
    meaning: hello,
  },
];

/** Malformed and odd responses, each with the section that decides about it. */
export const ODD_RESPONSES: readonly OddResponse[] = [
  ...STATUS_LINES,
  ...LINES,
  ...FIELDS,
  ...LENGTHS,
  ...CODINGS,
  ...CHUNKS,
  ...INFORMATIONAL,
];
