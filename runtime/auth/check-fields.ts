import { dropFields } from "../http/change-fields.ts";
import type { RequestHead } from "../http/client.ts";
import { type Field, parseBlock } from "../http/field-block.ts";
import type { ParsedTarget } from "../http/target-path.ts";

/**
 * Fields of the request that the check does not get: framing, the connection, conditions and ranges, which would
 * change the answer, and fields that the server sets itself.
 */
const DROPPED =
  /^(?:host|content-length|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect|proxy-.*|if-.*|range|forwarded|x[-_]forwarded[-_].*)$/;

/**
 * Returns the fields of the request that asks whether a request may pass: those of the client, and `X-Forwarded-*` with
 * the method, the URI and the client's address, as the servers for Nginx's `auth_request` and Traefik's `forwardAuth`
 * expect.
 *
 * @param options.only Names in lower case; `null`: all fields.
 */
export function toCheckFields(
  head: RequestHead,
  { only }: { only: ReadonlySet<string> | null },
): Field[] {
  const colon = head.origin.indexOf("://");
  const fields = parseBlock(head.fields).filter(
    ([name]) => !DROPPED.test(name) && (only === null || only.has(name)),
  );
  return [
    ...fields,
    ["x-forwarded-method", head.method],
    ["x-forwarded-proto", head.origin.slice(0, colon)],
    ["x-forwarded-host", head.origin.slice(colon + "://".length)],
    ["x-forwarded-uri", head.target],
    ["x-forwarded-for", head.clientAddress],
    ["x-original-method", head.method],
    ["x-original-uri", head.target],
  ];
}

/**
 * Returns the path and query about which the service decides: without dot segments and repeated slashes, because the
 * server resolves them before it looks for a file. As the client wrote it, `/public/../staff` would look public.
 */
export function toCheckTarget({ pathname, search }: ParsedTarget): string {
  return pathname.replace(/\/{2,}/g, "/") + search;
}

/** Tells in little time whether one of these names may be in a block, in any case and with `_` or `-`. */
function mayContain(block: string, names: ReadonlySet<string>): boolean {
  const text = block.toLowerCase().replaceAll("_", "-");
  for (const name of names) if (text.includes(name)) return true;
  return false;
}

/**
 * Returns a field block without the fields of these names. Names with `_` count as the ones with `-`: WSGI and CGI take
 * one for the other.
 *
 * @param names In lower case, with `-`.
 */
export function withoutNames(block: string, names: ReadonlySet<string>): string {
  if (!mayContain(block, names)) return block;
  return dropFields(block, (name) => names.has(name.toLowerCase().replaceAll("_", "-")));
}
