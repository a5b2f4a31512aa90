import { isIPv6 } from "node:net";
import type { RequestHead } from "../http/client.ts";
import { type Field, formatBlock } from "../http/field-block.ts";
import type { ForwardingKind } from "../http/forwarding.ts";

export interface ClientFieldsOptions {
  kind: ForwardingKind;
  /** Start of the path that the upstream does not see, such as `/api`; `""`: none. */
  prefix: string;
  /** Fields that are left out. In lower case. */
  omitted: ReadonlySet<string>;
}

/** A request's facts about its client. */
export type ClientFacts = Pick<RequestHead, "origin" | "clientAddress" | "peerAddress">;

/**
 * Makes the fields that tell an upstream about the client: `X-Forwarded-For`, `-Proto`, `-Host`, `-Port`, `-Prefix` and
 * `X-Real-IP`, or `Forwarded` (RFC 7239). They hold verified facts only, and the address of the peer comes last.
 *
 * Keeps the last result: consecutive requests often come from one client.
 */
export class ClientFields {
  readonly #options: ClientFieldsOptions;
  #origin = "";
  #address = "";
  #last = "";

  constructor(options: ClientFieldsOptions) {
    this.#options = options;
  }

  /**
   * Returns a field block.
   *
   * @param given The verified fields of a trusted proxy, and those that rules set, by their names; `null`: there are
   *   none. They win over those of this server, except that the address of the peer is added to a list.
   */
  of(facts: ClientFacts, given: ReadonlyMap<string, string> | null): string {
    if (given !== null || facts.peerAddress !== undefined) return this.#format(facts, given);
    if (facts.origin !== this.#origin || facts.clientAddress !== this.#address) {
      this.#last = this.#format(facts, null);
      this.#origin = facts.origin;
      this.#address = facts.clientAddress;
    }
    return this.#last;
  }

  #format(facts: ClientFacts, given: ReadonlyMap<string, string> | null): string {
    const { kind, prefix, omitted } = this.#options;
    const fields =
      kind === "forwarded" ? toForwarded(facts, given) : toXForwarded(facts, given, prefix);
    return formatBlock(fields.filter(([name, value]) => value !== "" && !omitted.has(name)));
  }
}

function toXForwarded(
  { origin, clientAddress, peerAddress }: ClientFacts,
  given: ReadonlyMap<string, string> | null,
  prefix: string,
): Field[] {
  const { scheme, authority } = splitOrigin(origin);
  const before =
    given?.get("x-forwarded-for") ?? (peerAddress === undefined ? null : clientAddress);
  const peer = peerAddress ?? clientAddress;
  const own: Field[] = [
    ["x-forwarded-proto", scheme],
    ["x-forwarded-host", authority],
    ["x-forwarded-port", portOf(scheme, authority)],
    ["x-real-ip", clientAddress],
  ];
  return [
    ["x-forwarded-for", before === null ? peer : `${before}, ${peer}`],
    ...own.map(([name, value]): Field => [name, given?.get(name) ?? value]),
    ["x-forwarded-prefix", (given?.get("x-forwarded-prefix") ?? "") + prefix],
  ];
}

function toForwarded(
  { origin, clientAddress, peerAddress }: ClientFacts,
  given: ReadonlyMap<string, string> | null,
): Field[] {
  const { scheme, authority } = splitOrigin(origin);
  const before =
    given?.get("forwarded") ?? (peerAddress === undefined ? null : `for=${toNode(clientAddress)}`);
  const own = `for=${toNode(peerAddress ?? clientAddress)};host=${toValue(authority)};proto=${scheme}`;
  return [["forwarded", before === null ? own : `${before}, ${own}`]];
}

function splitOrigin(origin: string): { scheme: string; authority: string } {
  const colon = origin.indexOf(":");
  return { scheme: origin.slice(0, colon), authority: origin.slice(colon + "://".length) };
}

function portOf(scheme: string, authority: string): string {
  return /:(\d+)$/.exec(authority)?.[1] ?? (scheme === "https" ? "443" : "80");
}

/** Returns the form of an address in `Forwarded` (RFC 7239 section 6): IPv6 in brackets and quotes. */
function toNode(address: string): string {
  return isIPv6(address) ? `"[${address}]"` : address;
}

/** Quotes a value that is no token, such as a host with a port. */
function toValue(text: string): string {
  return /^[\w!#$%&'*+\-.^`|~]+$/.test(text) ? text : `"${text}"`;
}
