import type { RequestHead } from "../http/client.ts";
import { findField } from "../http/find-field.ts";
import { formatBlock, parseBlock } from "../http/field-block.ts";
import type { ParsedTarget } from "../http/target-path.ts";
import type { CacheKey } from "./cache-key.ts";
import { CONDITIONAL_FIELDS } from "./validation.ts";
import { toCanonicalEncodings } from "./vary-values.ts";

/**
 * Returns the head of the request that fetches an answer for all visitors with the same key: GET, without the conditions
 * and ranges of this visitor, with `accept-encoding` in its canonical form, and with the query of the key.
 *
 * @param conditions Field block of the conditions of a validation; `""`: none.
 */
export function toFetchHead(
  { origin, fields, clientAddress, requestId }: RequestHead,
  { target, key, conditions }: { target: ParsedTarget; key: CacheKey; conditions: string },
): RequestHead {
  const kept = parseBlock(fields).filter(([name]) => !isReplaced(name));
  const encodings = findField(fields, "accept-encoding");
  const own = [...kept];
  if (encodings !== undefined) {
    const canonical = toCanonicalEncodings(encodings);
    // The text means the same as an empty value, which some programs take for an absent field.
    own.push(["accept-encoding", canonical === "" ? "identity" : canonical]);
  }
  const block = formatBlock(own);
  return {
    method: "GET",
    target: target.pathname + key.search,
    origin,
    fields: conditions === "" ? block : block === "" ? conditions : `${block}\n${conditions}`,
    bodyBytes: 0,
    clientAddress,
    requestId: requestId ?? null,
  };
}

function isReplaced(name: string): boolean {
  return name === "accept-encoding" || CONDITIONAL_FIELDS.has(name);
}

/** Tells whether the visitor asks for less than the whole answer: a fetch asks for something else then. */
export function hasOwnWishes({ method, fields }: RequestHead): boolean {
  if (method !== "GET") return true;
  if (!fields.includes("if-") && !fields.includes("range")) return false;
  return [...CONDITIONAL_FIELDS].some((name) => findField(fields, name) !== undefined);
}
