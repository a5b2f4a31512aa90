import type { CorsSetting } from "../../config/cors-setting.ts";
import type { FieldEdits } from "../../http/edit-fields.ts";
import { findField } from "../../http/find-field.ts";
import { addFilter, type ReplyFilter } from "../../http/reply.ts";
import type { Kind } from "../kind.ts";
import { createFieldFilter } from "./edit-replies.ts";

const ALLOW_ORIGIN = "access-control-allow-origin";
const ALLOW_CREDENTIALS = "access-control-allow-credentials";
const EXPOSE = "access-control-expose-headers";

/** Most origins whose filters are remembered. With a wildcard, clients choose them. */
const REMEMBERED = 1000;

const FIELD_NAMES = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?: *, *[!#$%&'*+\-.^_`|~0-9A-Za-z]+)*$/;

/**
 * Answers preflights, and adds the fields with which a page of another origin may read a reply (Fetch standard, section
 * 3.3). The first rule wins. Fields of the handler with these names do not count.
 */
export const answerCors: Kind = {
  actions: ["cors"],
  phase: "reply",
  compose(rules) {
    const setting = rules.find((rule) => rule.cors !== undefined)?.cors;
    if (setting === undefined) return null;
    const isAllowed = toOriginTest(setting.origins);
    const filterOf = createFilters(setting);
    return (client) => {
      const { method, fields } = client.head;
      const origin = findField(fields, "origin");
      const allowed = origin !== undefined && isAllowed(origin) ? origin : null;
      const asked =
        method === "OPTIONS" && origin !== undefined
          ? findField(fields, "access-control-request-method")
          : undefined;
      addFilter(client, filterOf(allowed));
      if (asked === undefined) return "next";
      if (allowed === null) client.refuse(403);
      else {
        const wanted = findField(fields, "access-control-request-headers");
        const granted = toPreflightFields(setting, wanted);
        client.reply({
          status: 204,
          statusText: "",
          fields: granted,
          body: null,
          lengthBytes: null,
        });
      }
      return "done";
    };
  },
};

function toPreflightFields(
  { methods, headers, maxAgeSeconds }: CorsSetting,
  wanted: string | undefined,
): string {
  const fields = ["access-control-allow-methods", methods];
  const reflected = wanted !== undefined && FIELD_NAMES.test(wanted) ? wanted : null;
  const granted = headers ?? reflected;
  if (granted !== null) fields.push("access-control-allow-headers", granted);
  if (headers === null) fields.push("vary", "access-control-request-headers");
  if (maxAgeSeconds !== null) fields.push("access-control-max-age", String(maxAgeSeconds));
  return fields.join("\n");
}

/** Returns the filter for a request of an allowed origin, or of no origin or another one (`null`). */
function createFilters(setting: CorsSetting): (origin: string | null) => ReplyFilter {
  const known = new Map<string | null, ReplyFilter>();
  return (origin) => {
    const key = setting.origins === "*" && origin !== null ? "*" : origin;
    let filter = known.get(key);
    if (filter === undefined) {
      filter = createFieldFilter(toEdits(setting, key));
      if (known.size >= REMEMBERED) known.clear();
      known.set(key, filter);
    }
    return filter;
  };
}

function toEdits({ origins, credentials, expose }: CorsSetting, origin: string | null): FieldEdits {
  const added: string[] = [];
  if (origin !== null) {
    added.push(ALLOW_ORIGIN, origin);
    if (credentials) added.push(ALLOW_CREDENTIALS, "true");
    if (expose !== null) added.push(EXPOSE, expose);
  }
  const dropped = new Set([ALLOW_ORIGIN, ALLOW_CREDENTIALS, EXPOSE]);
  // A cache must not give one origin the reply for another.
  const vary = origins === "*" ? [] : ["origin"];
  return { dropped, added: added.join("\n"), defaults: [], vary };
}

function toOriginTest(origins: CorsSetting["origins"]): (origin: string) => boolean {
  if (origins === "*") return () => true;
  const exact = new Set(origins.filter((origin) => !origin.includes("*")));
  const wild = origins
    .filter((origin) => origin.includes("*"))
    .map((origin) => {
      const [scheme = "", suffix = ""] = origin.split("*");
      return { scheme, suffix };
    });
  return (origin) =>
    exact.has(origin) ||
    wild.some(
      ({ scheme, suffix }) =>
        origin.startsWith(scheme) &&
        origin.endsWith(suffix) &&
        // Exactly one label stands for the wildcard.
        /^[^./:]+$/.test(origin.slice(scheme.length, -suffix.length)),
    );
}
