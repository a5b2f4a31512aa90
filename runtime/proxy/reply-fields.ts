import { toAuthority } from "./authority.ts";
import { CookieChange, type CookieChanges } from "./set-cookie.ts";
import { type LocationChanges, toClientLocation } from "./location.ts";

/** The rules for the fields of an upstream's response. */
export interface ReplyFieldRules {
  /** Whether clients get the field `server` of the upstream. */
  readonly keepsServer: boolean;
  /** `null`: addresses stay as they are. */
  readonly location: LocationChanges | null;
  /** `null`: cookies stay as they are. */
  readonly cookies: CookieChanges | null;
}

/** The fields of a response for the client. */
export type ReplyFields =
  | { readonly ok: true; readonly fields: string }
  /** The response has a field that this server would have to carry out, and cannot. */
  | { readonly ok: false; readonly reason: string };

/** Names of the fields that need a look. A match in a value costs only time. */
const SPECIAL =
  /(?:^|\n)(?:server|location|content-location|refresh|set-cookie|x-accel-[^\n]*|x-sendfile|x-reproxy-url)\n/;

/**
 * Fields with which an application asks its proxy to send a file instead of the body. A client must see neither the
 * path nor the empty body.
 */
const FILE_REQUESTS: ReadonlySet<string> = new Set([
  "x-accel-redirect",
  "x-sendfile",
  "x-reproxy-url",
]);

/** Makes the fields for clients from those of responses, by the rules of one proxy. */
export class ReplyFieldMaker {
  readonly #rules: ReplyFieldRules;
  readonly #cookies: CookieChange | null;

  constructor(rules: ReplyFieldRules) {
    this.#rules = rules;
    this.#cookies = rules.cookies === null ? null : new CookieChange(rules.cookies);
  }

  /**
   * Returns the fields for a client. Leaves out `server`, as Nginx does, and the fields that speak to a proxy
   * (`X-Accel-Buffering`): every response streams.
   *
   * @param block Of the upstream's client: without hop-by-hop and framing fields, names in lower case.
   * @param upstream The upstream server as the config names it.
   */
  of(block: string, upstream: string): ReplyFields {
    if (!SPECIAL.test(block)) return { ok: true, fields: block };
    const parts = block.split("\n");
    const kept: string[] = [];
    for (let at = 0; at + 1 < parts.length; at += 2) {
      const [name = "", value = ""] = [parts[at], parts[at + 1]];
      if (FILE_REQUESTS.has(name)) {
        return { ok: false, reason: `the response asks for a file with the field ${name}` };
      }
      if (name.startsWith("x-accel-")) continue;
      if (name === "server" && !this.#rules.keepsServer) continue;
      kept.push(name, this.#change(name, value, upstream));
    }
    return { ok: true, fields: kept.join("\n") };
  }

  #change(name: string, value: string, upstream: string): string {
    const { location } = this.#rules;
    switch (name) {
      case "location":
      case "content-location":
        return location === null ? value : toClientLocation(value, location, toAuthority(upstream));
      case "refresh":
        return location === null ? value : changeRefresh(value, location, toAuthority(upstream));
      case "set-cookie":
        return this.#cookies === null ? value : this.#cookies.of(value);
      default:
        return value;
    }
  }
}

/** A delay and an address: `5; url=/next`. No part can match the same characters as its neighbour: values may be long. */
const REFRESH = /^(\s*\d+\s*[;,]\s*url\s*=\s*)(["']?)(.*)$/i;

function changeRefresh(value: string, location: LocationChanges, upstream: string | null): string {
  const [, start, quote = "", rest] = REFRESH.exec(value) ?? [];
  if (rest === undefined) return value;
  const isQuoted = quote !== "" && rest.endsWith(quote);
  const address = isQuoted ? rest.slice(0, -1) : rest;
  const end = isQuoted ? quote : "";
  return `${start}${quote}${toClientLocation(address, location, upstream)}${end}`;
}
