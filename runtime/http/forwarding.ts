import { USER_FIELD } from "./user-field.ts";
import type { AddressRanges } from "../lib/address-ranges.ts";
import { toAddress } from "./trusted-proxies.ts";

/** The fields in which trusted proxies describe the client. The server believes one kind and drops the other. */
export type ForwardingKind = "x-forwarded" | "forwarded";

/** The proxies whose forwarding fields count, and the kind of fields that they send. */
export interface Trust {
  proxies: AddressRanges;
  kind: ForwardingKind;
}

/**
 * The roles of request fields for the question which client sent a request.
 *
 * - `plain`: none.
 * - `forwarding`: it describes the client. A client can send it, too.
 * - `request-id`: the number that a proxy gave the request.
 * - `twin`: it is spelled with `_` and looks like a field of the kinds above to programs that do not tell `_` from `-`.
 * - `server`: only the server sets it.
 */
export type FieldRole = "plain" | "forwarding" | "request-id" | "twin" | "server";

const FORWARDING = /^(?:forwarded|x-real-ip|x-forwarded-[a-z0-9-]+)$/;

/** @param name In lower case. */
export function toFieldRole(name: string): FieldRole {
  const dashed = name.replaceAll("_", "-");
  if (dashed === USER_FIELD) return "server";
  const role = FORWARDING.test(dashed)
    ? "forwarding"
    : dashed === "x-request-id"
      ? "request-id"
      : "plain";
  return role === "plain" || dashed === name ? role : "twin";
}

/** A field of a request: name in lower case, and value. */
export type Field = readonly [name: string, value: string];

/** The facts about a connection before its fields are read. */
export interface Connection {
  /** Address of the peer, in canonical form. */
  peer: string;
  scheme: "http" | "https";
  /** Value of `Host`. */
  host: string;
}

/** The verified facts about a request. */
export interface VerifiedClient {
  /** Canonical address of the right-most hop that is no trusted proxy; the left-most hop if all are. */
  clientAddress: string;
  scheme: "http" | "https";
  /** Host, with the port if it has one. It may be invalid: then the request is refused. */
  host: string;
  /** The forwarding fields that handlers may read. They hold the verified part only. */
  fields: Field[];
  /** Number that the proxy gave to the request; `null`: none that can be used. */
  requestId: string | null;
}

/** A hop: the report of one proxy about its peer. The hop that is nearest to this server comes last. */
interface Hop {
  /** `for`: an address with or without a port, or a word such as `unknown`. */
  from: string;
  proto: string | undefined;
  host: string | undefined;
  /** The element as the hop wrote it. */
  text: string;
}

/** A request id of a proxy: harmless in every log and field. */
const REQUEST_ID = /^[\w.+/=:@-]{1,128}$/;

/** Fields that the verified facts replace. */
const REPLACED: ReadonlySet<string> = new Set([
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-real-ip",
  "x-request-id",
]);

/**
 * Finds the client of a request that a trusted proxy passed on. Reads the hops from right to left, over trusted proxies
 * only, because a client can send everything to the left of them (RFC 7239 section 8.1).
 *
 * Pure. The peer must be a trusted proxy.
 *
 * @param fields The fields with a role, in the order of the request.
 */
export function readForwarding(
  connection: Connection,
  fields: readonly Field[],
  { proxies, kind }: Trust,
): VerifiedClient {
  const hops =
    kind === "forwarded" ? readForwarded(join(fields, "forwarded")) : readXForwarded(fields);
  let clientAddress = connection.peer;
  let at = hops.length;
  while (at > 0) {
    const address = toHopAddress(hops[at - 1]?.from ?? "");
    if (address === null) break;
    clientAddress = address;
    at--;
    if (!proxies.has(address)) break;
  }
  const trusted = hops.slice(at);
  const said = kind === "forwarded" ? trusted[0] : pickXForwarded(fields, { at, of: hops.length });
  const scheme = toScheme(said?.proto) ?? connection.scheme;
  const port =
    kind === "forwarded" ? undefined : pick(fields, "x-forwarded-port", { at, of: hops.length });
  const host = hops === UNREADABLE ? "" : withPort(said?.host ?? connection.host, port, scheme);
  const given = join(fields, "x-request-id");
  const requestId = given !== undefined && REQUEST_ID.test(given) ? given : null;
  const verified = toVerified(fields, { clientAddress, scheme, host, trusted, kind });
  if (requestId !== null) verified.push(["x-request-id", requestId]);
  return { clientAddress, scheme, host, fields: verified, requestId };
}

/** Returns the forwarding fields in their verified form: those that the proxy sent, with the facts that were verified. */
function toVerified(
  fields: readonly Field[],
  facts: {
    clientAddress: string;
    scheme: string;
    host: string;
    trusted: readonly Hop[];
    kind: ForwardingKind;
  },
): Field[] {
  const { clientAddress, scheme, host, trusted, kind } = facts;
  const has = (name: string): boolean => fields.some(([other]) => other === name);
  const verified: Field[] = [];
  const add = (name: string, value: string): void => void verified.push([name, value]);
  if (kind === "forwarded") {
    if (trusted.length > 0) add("forwarded", trusted.map(({ text }) => text).join(", "));
  } else {
    const addresses = trusted.map(({ from }) => toHopAddress(from) ?? "");
    if (addresses.length > 0) add("x-forwarded-for", addresses.join(", "));
    if (has("x-forwarded-proto")) add("x-forwarded-proto", scheme);
    if (has("x-forwarded-host")) add("x-forwarded-host", host);
    if (has("x-forwarded-port")) add("x-forwarded-port", toPort(host, scheme));
  }
  if (has("x-real-ip")) add("x-real-ip", clientAddress);
  for (const [name, value] of fields) {
    if (!REPLACED.has(name)) add(name, value);
  }
  return verified;
}

function readXForwarded(fields: readonly Field[]): Hop[] {
  return toList(join(fields, "x-forwarded-for")).map((from) => {
    return { from, proto: undefined, host: undefined, text: from };
  });
}

function pickXForwarded(
  fields: readonly Field[],
  place: { at: number; of: number },
): Pick<Hop, "proto" | "host"> {
  return {
    proto: pick(fields, "x-forwarded-proto", place),
    host: pick(fields, "x-forwarded-host", place),
  };
}

/**
 * Returns the value of a list that belongs to the client's hop: the one at the client's place if the list has one value for each
 * hop, otherwise the last one, which the nearest proxy wrote.
 */
function pick(
  fields: readonly Field[],
  name: string,
  { at, of }: { at: number; of: number },
): string | undefined {
  const values = toList(join(fields, name));
  return (values.length === of ? values[at] : undefined) ?? values.at(-1);
}

/** Joins the values of all fields of a name (RFC 9110 section 5.3). */
function join(fields: readonly Field[], name: string): string | undefined {
  const values = fields.filter(([other]) => other === name).map(([, value]) => value);
  return values.length === 0 ? undefined : values.join(",");
}

function toList(value: string | undefined): string[] {
  if (value === undefined) return [];
  return value
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

/** A quoted text (RFC 9110 section 5.6.4) or a character that is not a quote. */
const ELEMENTS = /(?:"(?:[^"\\]|\\.)*"|[^",])+/g;
const PAIRS = /(?:"(?:[^"\\]|\\.)*"|[^";])+/g;

/** A list in which a quote has no end. It could hide the hops behind it. */
const UNREADABLE: readonly Hop[] = [];

/**
 * Reads `Forwarded` (RFC 7239 section 4). An element that cannot be read counts as a hop of unknown origin. No proxy
 * leaves a quote open, so a client did: the request is refused, or the client would pass for the proxy.
 */
function readForwarded(value: string | undefined): readonly Hop[] {
  if (value === undefined) return [];
  if (value.replaceAll(/"(?:[^"\\]|\\.)*"/g, "").includes('"')) return UNREADABLE;
  return [...value.matchAll(ELEMENTS)]
    .map(([element]) => element.trim())
    .filter((element) => element !== "")
    .map((text) => {
      const pairs = new Map<string, string>();
      for (const [pair] of text.matchAll(PAIRS)) {
        const equals = pair.indexOf("=");
        const name = pair.slice(0, equals).trim().toLowerCase();
        // The first one counts: RFC 7239 section 4 allows each parameter once.
        if (equals > 0 && !pairs.has(name)) pairs.set(name, unquote(pair.slice(equals + 1).trim()));
      }
      return {
        from: pairs.get("for") ?? "",
        proto: pairs.get("proto"),
        host: pairs.get("host"),
        text,
      };
    });
}

function unquote(text: string): string {
  return text.startsWith('"') && text.endsWith('"') && text.length > 1
    ? text.slice(1, -1).replaceAll(/\\(.)/g, "$1")
    : text;
}

/** Returns the address of a hop without its port: `192.0.2.1:80`, `[2001:db8::1]:80`, `2001:db8::1`. */
function toHopAddress(hop: string): string | null {
  const bracketed = /^\[([^\]]*)\](?::[\w.-]+)?$/.exec(hop);
  if (bracketed !== null) return toAddress(bracketed[1] ?? "");
  const ipv4 = /^([\d.]+):[\w.-]+$/.exec(hop);
  return toAddress(ipv4?.[1] ?? hop);
}

/** Some proxies name the scheme of WebSockets. */
function toScheme(proto: string | undefined): "http" | "https" | null {
  switch (proto?.toLowerCase() ?? "") {
    case "http":
    case "ws":
      return "http";
    case "https":
    case "wss":
      return "https";
    default:
      return null;
  }
}

const PORT_AT_END = /:(\d+)$/;

/** Adds the port that a proxy named to a host without one. */
function withPort(host: string, port: string | undefined, scheme: "http" | "https"): string {
  if (port === undefined || !/^\d{1,5}$/.test(port) || PORT_AT_END.test(host)) return host;
  return Number(port) === defaultPort(scheme) ? host : `${host}:${Number(port)}`;
}

function toPort(host: string, scheme: string): string {
  return PORT_AT_END.exec(host)?.[1] ?? String(defaultPort(scheme));
}

function defaultPort(scheme: string): number {
  return scheme === "https" ? 443 : 80;
}
