import type { RequestHead } from "../http/client.ts";
import type { ForwardingKind } from "../http/forwarding.ts";
import { ClientFields } from "./client-fields.ts";

/** The rules for the fields that an upstream gets. */
export interface RequestFieldRules {
  /** The kind of fields that name the client; `null`: none. */
  readonly kind: ForwardingKind | null;
  /** Start of the path that the upstream does not see, such as `/api`; `""`: none. */
  readonly prefix: string;
  /** Fields that replace those of the request. Names in lower case. */
  readonly set: Readonly<Record<string, string>>;
  /** Fields that the upstream does not get. Names in lower case. */
  readonly removed: readonly string[];
}

/** The fields for an upstream. */
export interface UpstreamFields {
  /** Field block with `host`, without fields of framing and connection. */
  fields: string;
  /** The request has passed so many Edgicorn servers that its way must be a circle. */
  isLooping: boolean;
}

/** Name in the field `via`. */
const PSEUDONYM = "edgicorn";

/** `via` with the version in which the request came, and the name of this server (RFC 9110 section 7.6.3). */
const VIA = `via\n1.1 ${PSEUDONYM}`;

/** Most servers with our name that a request may have passed. Chains of proxies are shorter. */
const MOST_HOPS = 10;

/**
 * The treatment of a field of the request.
 *
 * - `drop`: it concerns the connection or the framing (RFC 9110 section 7.6.1), or the server has acted on it: `expect`,
 *   `proxy-authorization`. Programs that run as CGI would take `proxy` for a setting.
 * - `client`: it describes the client, and the server writes it anew.
 */
export type Treatment = "drop" | "client" | "host" | "via" | "request-id";

const TREATMENTS: ReadonlyMap<string, Treatment> = new Map([
  ["host", "host"],
  ["via", "via"],
  ["x-request-id", "request-id"],
  ...treat("drop", [
    "connection",
    "content-length",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
  ]),
  ...treat("client", [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-real-ip",
  ]),
]);

/** Returns the treatment of a field of the request, by its name in lower case; `undefined`: the upstream gets it as it is. */
export function treatmentOf(name: string): Treatment | undefined {
  return TREATMENTS.get(name);
}

function treat(treatment: Treatment, names: readonly string[]): [string, Treatment][] {
  return names.map((name) => [name, treatment]);
}

/** Makes the fields for an upstream from those of requests, by the rules of one proxy. */
export class RequestFields {
  readonly #clientFields: ClientFields | null;
  /** Fields that the rules set or remove, also in their spelling with `_`. */
  readonly #replaced: ReadonlySet<string> | null;
  /** Fields at the end of every block. */
  readonly #end: string;
  readonly #setsRequestId: boolean;

  constructor({ kind, prefix, set, removed }: RequestFieldRules) {
    const names = [...Object.keys(set), ...removed];
    const omitted = new Set(names.map(toTwin));
    this.#replaced = omitted.size === 0 ? null : omitted;
    this.#clientFields = kind === null ? null : new ClientFields({ kind, prefix, omitted });
    const added = Object.entries(set).flatMap(([name, value]) =>
      TREATMENTS.get(name) === "drop" ? [] : [name, value],
    );
    this.#end = [VIA, ...added].join("\n");
    this.#setsRequestId = names.includes("x-request-id");
  }

  /**
   * Returns the fields for an upstream.
   *
   * @param options.requestId The number of the request in the logs. The upstream gets it unless the request has one.
   * @param options.host Value of `host`; `null`: as the client sent it.
   */
  of(
    head: Pick<RequestHead, "fields" | "origin" | "clientAddress" | "peerAddress">,
    { requestId, host }: { requestId: string; host: string | null },
  ): UpstreamFields {
    const { fields } = head;
    const replaced = this.#replaced;
    let kept = "";
    let hops = 0;
    let hasRequestId = this.#setsRequestId;
    /** The fields that describe the client, as a trusted proxy sent them; `null` for nearly all requests. */
    let given: Map<string, string> | null = null;
    /** Start of the fields that stay and are not copied yet. */
    let from = 0;
    for (let at = 0; at < fields.length;) {
      const nameEnd = fields.indexOf("\n", at);
      const lineEnd = fields.indexOf("\n", nameEnd + 1);
      const end = lineEnd === -1 ? fields.length : lineEnd;
      const name = fields.slice(at, nameEnd);
      const treatment = TREATMENTS.get(name);
      const twin = toTwin(name);
      let isKept = replaced === null || !replaced.has(twin);
      // Many programs cannot tell it from the field that the server drops or writes anew.
      if (twin !== name && TREATMENTS.has(twin)) isKept = false;
      switch (treatment) {
        case undefined:
          break;
        case "drop":
          isKept = false;
          break;
        case "client":
          given ??= new Map();
          given.set(name, fields.slice(nameEnd + 1, end));
          isKept = false;
          break;
        case "host":
          isKept = host === null;
          break;
        case "via":
          hops += countHops(fields.slice(nameEnd + 1, end));
          break;
        case "request-id":
          hasRequestId ||= isKept;
          break;
        default:
          treatment satisfies never;
      }
      const next = lineEnd === -1 ? fields.length : lineEnd + 1;
      if (!isKept) {
        kept += fields.slice(from, at);
        from = next;
      }
      at = next;
    }
    const rest = from === 0 ? fields : fields.slice(from);
    if (rest !== "") kept += `${rest}\n`;
    if (host !== null) kept = `host\n${host}\n${kept}`;
    if (this.#clientFields !== null) kept += `${this.#clientFields.of(head, given)}\n`;
    if (!hasRequestId) kept += `x-request-id\n${requestId}\n`;
    return { fields: kept + this.#end, isLooping: hops >= MOST_HOPS };
  }
}

function countHops(via: string): number {
  return via.split(PSEUDONYM).length - 1;
}

function toTwin(name: string): string {
  return name.includes("_") ? name.replaceAll("_", "-") : name;
}
