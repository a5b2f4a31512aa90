import { createHash, timingSafeEqual } from "node:crypto";
import { dropFields } from "../../http/change-fields.ts";
import type { Client } from "../../http/client.ts";
import { findField } from "../../http/find-field.ts";
import { beginTimings, formatServerTiming } from "../../http/timings.ts";
import type { Reply } from "../../http/reply.ts";
import { addFilter } from "../../http/reply.ts";
import type { Stage } from "../site.ts";

/** Field of requests with the token of the setting `serverTimingToken`. */
const TOKEN_FIELD = "x-edgicorn-timing";

/** Adds the field `server-timing` to all replies, or to those to requests with the token. */
export function timeRequests({
  all,
  tokenDigest,
}: {
  all: boolean;
  /** SHA-256 of the token, in hex; `null`: there is none. */
  tokenDigest: string | null;
}): Stage {
  const digest = tokenDigest === null ? null : Buffer.from(tokenDigest, "hex");
  return (client) => {
    if (all || (digest !== null && takeToken(client, digest))) {
      beginTimings(client);
      addFilter(client, addServerTiming);
    }
    return "next";
  };
}

/** Tells whether the request has the token, and removes it: no handler and no upstream server gets it. */
function takeToken({ head }: Client, digest: Buffer): boolean {
  const token = findField(head.fields, TOKEN_FIELD);
  if (token === undefined) return false;
  head.fields = dropFields(head.fields, (name) => name === TOKEN_FIELD);
  return timingSafeEqual(createHash("sha256").update(token, "latin1").digest(), digest);
}

/** Adds a field of its own: fields of the handler stay, since the value is a list (RFC 9110 section 5.3). */
function addServerTiming(reply: Reply, client: Client): Reply {
  const value = formatServerTiming(client, performance.now());
  const { fields } = reply;
  return { ...reply, fields: `${fields}${fields === "" ? "" : "\n"}server-timing\n${value}` };
}
