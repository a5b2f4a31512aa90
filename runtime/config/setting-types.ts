import { isIP } from "node:net";
import { ACCESS_FACTS, parseAccessFormat } from "../lib/access-format.ts";
import { PATH_PATTERN_EXPECTED, parsePathPattern } from "../lib/path-pattern.ts";
import { isProxyEntry } from "../lib/proxy-entries.ts";
import { toHostName } from "./host-name.ts";
import type { Duration, Size } from "./quantities.ts";
import { parseDurationMs, parseSizeBytes } from "./units.ts";

// Plain functions: schemas of zod, which was here before, took a tenth of the time in which a worker boots.

/** A checked value; `null`: the input is no value of the type. */
export type Parsed<Value> = { readonly value: Value } | null;

/** A type of values that settings have. */
export interface SettingType<Input, Value> {
  /** Placeholder for the value in the help text: `PORT|off`. */
  readonly placeholder: string;
  /** End of the sentence "found x, expected ...". */
  readonly expected: string;
  /** Checks text from a flag or the environment, or a plain value from the config file. */
  readonly parse: (value: unknown) => Parsed<Value>;
  /** Names the member of a value that `parse` refuses, with the end of the sentence; `null`: the value as a whole. */
  readonly explain?: (value: unknown) => { key: string; value: unknown; expected: string } | null;
  /** Form of the value in a handler's own `config`; `null`: handlers do not set such values. */
  readonly inHandler: HandlerType<Value> | null;
  /** Has no value: it carries the type of values in the config file. */
  readonly input?: Input;
}

/** The form of a value in a handler's own `config`: a plain number in the smallest unit, or a word. */
export interface HandlerType<Value> {
  readonly expected: string;
  readonly parse: (value: unknown) => Parsed<Value>;
}

type Off = "off" | false;

const UNITS = 'with a unit, such as "500ms", "30s" or "5m"';
const FILE = 'a file whose name has a dot or a slash, such as "access.log"';

/** A folder. */
export function folder(): SettingType<string, string> {
  return create("DIR", "a folder", parseText);
}

/** A Python application. Python says which parts of the name are wrong. */
export function appName(): SettingType<string, string> {
  const expected = 'a Python module and a name in it, such as "myproject.wsgi:application"';
  return create("MODULE:NAME", expected, matching(/^[^\s:]+(?::.+)?$/));
}

/** A key of `stores`. */
export function storeName(): SettingType<string, string> {
  return create("STORE", 'a key of "stores"', matching(/^[\w.-]{1,64}$/));
}

/** A file. A dot or a slash distinguishes it from a word: `--access-log no`. */
export function logFile(): SettingType<string, string> {
  return create("FILE", FILE, (value) => {
    const isFile = typeof value === "string" && /[./]/.test(value) && /[^/]$/.test(value);
    return isFile ? { value } : null;
  });
}

/** Suites of TLS 1.2. `findSuitesProblem` checks whether OpenSSL has them. */
export function tlsSuites(): SettingType<string, string> {
  return create(
    "LIST",
    'suites of TLS 1.2 in the words of OpenSSL, such as "ECDHE+AESGCM:ECDHE+CHACHA20"',
    parseText,
  );
}

/** The largest number of a user or group: the one above it means "none". */
const LARGEST_ID = 2 ** 32 - 2;

/** A user or group of the system, by its name or its number. The number comes as text. */
export function accountName(): SettingType<string | number, string> {
  const expected = 'a name such as "www-data", or a number such as 10001';
  return create("NAME", expected, (value) => {
    const text = typeof value === "number" ? String(value) : value;
    if (typeof text !== "string" || !/^[^\s:,/-][^\s:,/]*$/.test(text)) return null;
    const isNumber = /^[\d.+e]+$/.test(text);
    if (isNumber && !(/^\d{1,10}$/.test(text) && Number(text) <= LARGEST_ID)) return null;
    return { value: text };
  });
}

/** A file of any name. */
export function anyFile(): SettingType<string, string> {
  return create("FILE", "a file", parseText);
}

/** `null` for "off" or `false`; otherwise a value of the type. */
export function orOff<Input, Value>(
  type: SettingType<Input, Value>,
): SettingType<Input | Off, Value | null> {
  return {
    placeholder: `${type.placeholder}|off`,
    expected: `${type.expected}, or "off"`,
    parse: (value) => (value === "off" || value === false ? { value: null } : type.parse(value)),
    ...(type.explain !== undefined && { explain: type.explain }),
    inHandler: null,
  };
}

/** A word, or else a value of the type. */
export function orWord<const Word extends string, Input, Value>(
  word: Word,
  type: SettingType<Input, Value>,
): SettingType<Input | Word, Value | Word> {
  return {
    placeholder: `${type.placeholder}|${word}`,
    expected: `${type.expected}, or "${word}"`,
    parse: (value) => (value === word ? { value: word } : type.parse(value)),
    inHandler: null,
  };
}

/** One of several words. */
export function oneOf<const Words extends readonly [string, ...string[]]>(
  ...words: Words
): SettingType<Words[number], Words[number]> {
  const parse = (value: unknown): Parsed<Words[number]> => {
    const word = words.find((each) => each === value);
    return word === undefined ? null : { value: word };
  };
  const expected = joinWords(words.map((word) => `"${word}"`));
  return {
    ...create(words.join("|"), expected, parse),
    inHandler: { expected, parse },
  };
}

/** `true` or `false`, also as words. */
export function onOff(): SettingType<boolean | "on" | "off", boolean> {
  return create("on|off", '"on" or "off"', (value) => {
    if (typeof value === "boolean") return { value };
    if (typeof value !== "string") return null;
    const word = value.toLowerCase();
    if (ON.includes(word)) return { value: true };
    return OFF.includes(word) ? { value: false } : null;
  });
}

const ON: readonly string[] = ["on", "true", "1", "yes"];
const OFF: readonly string[] = ["off", "false", "0", "no"];

/** `true`, `false`, or a file. */
export function onOffOrFile(): SettingType<boolean | string, boolean | string> {
  const [flag, file] = [onOff(), logFile()];
  return {
    placeholder: "on|off|FILE",
    expected: `"on", "off", or ${FILE}`,
    parse: (value) => flag.parse(value) ?? file.parse(value),
    inHandler: null,
  };
}

/** A page of the public folder, as a decoded path: on is `/index.html`; `null`: off. */
export function onOffOrPage(): SettingType<boolean | string, string | null> {
  const flag = onOff();
  return {
    placeholder: "on|off|FILE",
    expected: '"on", "off", or a file of the public folder such as "app.html"',
    parse: (value) => {
      const isOn = flag.parse(value);
      if (isOn !== null) return { value: isOn.value ? "/index.html" : null };
      if (typeof value !== "string" || !/^\/?[^/\0\\]/.test(value)) return null;
      const path = value.startsWith("/") ? value : `/${value}`;
      const isFile = path
        .split("/")
        .slice(1)
        .every((name) => !/^\.{0,2}$/.test(name));
      return isFile && path.endsWith(".html") ? { value: path } : null;
    },
    inHandler: null,
  };
}

/** A whole number with bounds. */
export function wholeNumber(least: number, most: number): SettingType<number, number> {
  return create("N", `a whole number from ${least} to ${most}`, (value) => {
    const isDigits = typeof value === "string" && /^\d{1,9}$/.test(value);
    return parseWhole(isDigits ? Number(value) : value, least, most);
  });
}

/** Addresses and ranges of addresses: a list, or a text with commas. */
export function addressList(): SettingType<string | readonly string[], readonly string[]> {
  const expected =
    'IP addresses or ranges, such as "10.0.0.0/8, 192.0.2.1", or the words "loopback" and "private"';
  return list("LIST", expected, isProxyEntry);
}

/** `json`, `combined`, or a format of access lines. */
export function accessFormat(): SettingType<string, string> {
  const expected =
    '"json", "combined", or a text with variables: ' +
    `${ACCESS_FACTS.map((name) => `$${name}`).join(" ")}, or $http_NAME for a field without credentials`;
  return create("FORMAT", expected, (value) => {
    if (value === "json" || value === "combined") return { value };
    const isFine = typeof value === "string" && typeof parseAccessFormat(value) !== "string";
    return isFine ? { value } : null;
  });
}

/** Statuses and classes of statuses, such as `404` and `5xx`. */
export function statusList(): SettingType<string | readonly string[], readonly string[]> {
  const expected = 'statuses such as "404" and classes such as "5xx"';
  return list("LIST", expected, (entry) => /^[1-5](?:xx|\d\d)$/.test(entry));
}

/** Patterns of paths. */
export function patternList(): SettingType<string | readonly string[], readonly string[]> {
  const expected = `patterns of paths, each ${PATH_PATTERN_EXPECTED}`;
  return list("LIST", expected, (entry) => !("expected" in parsePathPattern(entry)));
}

/** Names of query parameters. */
export function nameList(): SettingType<string | readonly string[], readonly string[]> {
  return list("LIST", 'names such as "token" and "api_key"', (entry) => /^[\w.-]+$/.test(entry));
}

/** A list of texts, also as one text with commas. */
function list(
  placeholder: string,
  expected: string,
  isFine: (entry: string) => boolean,
): SettingType<string | readonly string[], readonly string[]> {
  return create(placeholder, expected, (value) => {
    const entries = typeof value === "string" ? value.split(",") : value;
    if (!Array.isArray(entries) || entries.length === 0) return null;
    const texts = entries.map((entry: unknown) => (typeof entry === "string" ? entry.trim() : ""));
    return texts.every(isFine) ? { value: Object.freeze(texts) } : null;
  });
}

/** A number from 0 to 1. */
export function share(): SettingType<number, number> {
  return create("SHARE", "a number from 0 to 1, such as 0.1", (value) => {
    const number =
      typeof value === "string" && /^(?:0|1|[01]?\.\d{1,6})$/.test(value) ? Number(value) : value;
    return typeof number === "number" && number >= 0 && number <= 1 ? { value: number } : null;
  });
}

/** `null` for "all"; otherwise a value of the type. */
export function orAll<Input, Value>(
  type: SettingType<Input, Value>,
): SettingType<Input | "all", Value | null> {
  return {
    placeholder: `${type.placeholder}|all`,
    expected: `${type.expected}, or "all"`,
    parse: (value) => (value === "all" ? { value: null } : type.parse(value)),
    inHandler: null,
  };
}

/** `null` for "auto"; otherwise a value of the type. */
export function orAuto<Input, Value>(
  type: SettingType<Input, Value>,
): SettingType<Input | "auto", Value | null> {
  return {
    placeholder: `${type.placeholder}|auto`,
    expected: `${type.expected}, or "auto"`,
    parse: (value) => (value === "auto" ? { value: null } : type.parse(value)),
    inHandler: null,
  };
}

/** A TCP port: 0 for any free port. */
export function port(): SettingType<number, number> {
  return {
    ...wholeNumber(0, 65_535),
    placeholder: "PORT",
    expected: "a port from 1 to 65535, 0 for any free port",
  };
}

/** Bytes, from a size with or without a unit. */
export function size(least: number, most: number, example = "512kb"): SettingType<Size, number> {
  const parse = (value: unknown): Parsed<number> =>
    parseWhole(typeof value === "string" ? parseSizeBytes(value) : value, least, most);
  const from = least === 0 ? "up to" : `from ${showBytes(least)} to`;
  const bound = most <= 64 * 1024 ** 2 ? `, at most ${most / 1024 ** 2} MiB` : "";
  return {
    ...create("SIZE", `a size ${from} ${showBytes(most)}, such as "${example}"`, parse),
    inHandler: { expected: `whole bytes${bound}`, parse: (value) => parseWhole(value, 0, most) },
  };
}

/**
 * Milliseconds, from a duration with a unit.
 *
 * @param zero The meaning of 0, when it has one of its own: "0s for never".
 */
export function duration(
  least: number,
  most: number,
  zero?: "never" | "none" | "any",
): SettingType<Duration, number> {
  const parse = (value: unknown): Parsed<number> => {
    if (typeof value === "number" && !mayBeMs(value)) return null;
    return parseWhole(typeof value === "string" ? parseDurationMs(value) : value, least, most);
  };
  const from = least === 0 ? "up to" : `from ${showMs(least)} to`;
  const end = zero === undefined ? "" : `, 0s for ${zero}`;
  return {
    ...create("TIME", `a duration ${from} ${showMs(most)} ${UNITS}${end}`, parse),
    inHandler: {
      expected: "whole milliseconds, 0 for no limit",
      parse: (value) => parseWhole(value, 0, Number.MAX_SAFE_INTEGER),
    },
  };
}

/** 0, or else a value of the type. */
export function orZero<Input>(type: SettingType<Input, number>): SettingType<Input, number> {
  const zero = duration(0, 0);
  return {
    ...type,
    expected: `${type.expected}, or 0s for never`,
    parse: (value) => zero.parse(value) ?? type.parse(value),
  };
}

/** A normalised path without a query, as the server compares it with the path of a request. */
export function urlPath(): SettingType<string, string> {
  return create("PATH", 'a path such as "/healthz"', matching(/^\/[\w.~!$&'()*+,;=:@/-]*$/));
}

/** The name of one host, as the origin of a request has it. */
export function hostName(): SettingType<string, string> {
  return create("HOST", 'a host name without a port, such as "example.com"', (value) => {
    const name = typeof value === "string" && !value.startsWith("*") ? toHostName(value) : null;
    return name === null ? null : { value: name };
  });
}

/** An address to listen on; `null`: all addresses. */
export function host(): SettingType<string, string | null> {
  const expected = 'an IP address, a host name, or "*" for all addresses';
  return create("ADDRESS", expected, (value) => {
    if (value === "*") return { value: null };
    if (typeof value !== "string") return null;
    const address = value.replace(/^\[(.*)\]$/, "$1");
    return isIP(address) !== 0 || isHostName(address) ? { value: address } : null;
  });
}

function create<Input, Value>(
  placeholder: string,
  expected: string,
  parse: (value: unknown) => Parsed<Value>,
): SettingType<Input, Value> {
  return { placeholder, expected, parse, inHandler: null };
}

function parseText(value: unknown): Parsed<string> {
  return typeof value === "string" && value !== "" ? { value } : null;
}

function matching(pattern: RegExp): (value: unknown) => Parsed<string> {
  return (value) => (typeof value === "string" && pattern.test(value) ? { value } : null);
}

function parseWhole(value: unknown, least: number, most: number): Parsed<number> {
  const isWhole = typeof value === "number" && Number.isSafeInteger(value);
  return isWhole && value >= least && value <= most ? { value } : null;
}

/** RFC 1123 section 2.1; a name of digits and dots only is a mistyped address. */
function isHostName(value: string): boolean {
  if (value.length > 253 || /^[\d.]+$/.test(value)) return false;
  return value.split(".").every((label) => /^[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?$/i.test(label));
}

/** Whether a bare number may be milliseconds: users of other servers read `30` as seconds. */
function mayBeMs(value: number): boolean {
  return value === 0 || value >= 1_000;
}

/** Formats milliseconds with the largest unit that divides them: `60000` -> `1m`. */
function showMs(ms: number): string {
  if (ms % 3_600_000 === 0) return `${ms / 3_600_000}h`;
  if (ms % 60_000 === 0) return `${ms / 60_000}m`;
  return ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`;
}

/** Formats bytes with the largest unit that divides them, up to `1024gb`: `65536` -> `64kb`. */
function showBytes(bytes: number): string {
  if (bytes % 1024 ** 3 === 0) return `${bytes / 1024 ** 3}gb`;
  if (bytes % 1024 ** 2 === 0) return `${bytes / 1024 ** 2}mb`;
  if (bytes % 1024 === 0) return `${bytes / 1024}kb`;
  return bytes === 1 ? "1 byte" : `${bytes} bytes`;
}

function joinWords(words: readonly string[]): string {
  const last = words.at(-1) ?? "";
  return words.length < 2 ? last : `${words.slice(0, -1).join(", ")} or ${last}`;
}
