import { isIP } from "node:net";
import type { Question } from "../control/explanation.ts";
import type { RequestHead } from "../http/client.ts";
import { findHeadBreach, type HeadLimits } from "../http/head-limits.ts";
import type { Trust } from "../http/forwarding.ts";
import { HeadFields, type HeadRefusal, isToken } from "../engine/head-fields.ts";
import { RuntimeError } from "../lib/errors.ts";

/** A request as an engine reads it. */
export interface ReadQuestion {
  scheme: "http" | "https";
  /** The host that the client names in TLS, without a port. */
  serverName: string;
  /** The origin that the client itself names. */
  ownOrigin: string;
  peer: string;
  head: RequestHead;
  /** The setting whose limit the head breaks; `null`: none. */
  breach: ReturnType<typeof findHeadBreach>;
}

/** A head that an engine refuses. */
export interface RefusedQuestion {
  scheme: "http" | "https";
  peer: string;
  refused: { status: number; reason: string };
}

/** Two spaces, `HTTP/1.1` and the end of the line. */
const REST_OF_LINE_BYTES = 12;

/** A URL in parts. The path stays as it is written: dot segments and encodings count. */
const URL_PARTS = /^(?:(https?):\/\/([^/?#]+))?(\/[^#]*|\?[^#]*)?(?:#.*)?$/i;

/**
 * Reads a request as the listener would that gets it.
 *
 * @throws RuntimeError `ERR_CONFIG` for a text that is no URL, and for an address that is none.
 */
export function readQuestion(
  { method, url, fields, client }: Question,
  { trust, limits }: { trust: Trust | null; limits: HeadLimits },
): ReadQuestion | RefusedQuestion {
  const [, scheme = "http", authority = "localhost", rest = "/"] = URL_PARTS.exec(url) ?? [];
  if (!URL_PARTS.test(url) || url === "") {
    throw refusal(url, "a URL such as https://example.com/path, or a path such as /path");
  }
  const peer = client ?? "127.0.0.1";
  if (isIP(peer) === 0) throw refusal(peer, "an IP address for --client");
  const host = fields.find(([name]) => name.toLowerCase() === "host")?.[1] ?? authority;
  const target = rest.startsWith("?") ? `/${rest}` : rest;
  const others = fields.filter(([name]) => name.toLowerCase() !== "host");
  const own = scheme.toLowerCase() === "https" ? "https" : "http";
  const line = { method, target, bytes: method.length + target.length + REST_OF_LINE_BYTES };
  const reader = new HeadFields({ scheme: own });
  reader.trust = trust;
  reader.begin(line);
  reader.add("host", host);
  for (const [name, value] of others) reader.add(name.toLowerCase(), value);
  const head = readHead(reader, { method, target, peer });
  if ("reason" in head) return { scheme: own, peer, refused: head };
  const breach = findHeadBreach(reader.size, limits);
  const serverName = authority.replace(/:\d*$/, "").toLowerCase();
  return { scheme: own, serverName, ownOrigin: reader.ownOrigin, peer, head, breach };
}

/** Checks a head as the engines do. */
function readHead(
  reader: HeadFields,
  { method, target, peer }: { method: string; target: string; peer: string },
): RequestHead | HeadRefusal {
  if (reader.refusal !== null) return reader.refusal;
  if (method === "TRACE" || method === "CONNECT") {
    return { status: 405, reason: `method ${method}` };
  }
  if (!isToken(method)) return { status: 400, reason: "method is not a token" };
  const bodyBytes = reader.bodyBytes();
  if (typeof bodyBytes === "object" && bodyBytes !== null) return bodyBytes;
  return reader.toHead({ method, target, bodyBytes, peer });
}

function refusal(found: string, expected: string): RuntimeError {
  const shown = JSON.stringify(found.length > 200 ? `${found.slice(0, 200)}...` : found);
  return new RuntimeError("ERR_CONFIG", `Cannot explain: found ${shown}, expected ${expected}`);
}
