import { describeFieldProblem } from "./field-syntax.ts";
import { type ActionPlace, isRecord, refuseUnknown } from "./rule-reader.ts";

const FRAMES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  deny: { "x-frame-options": "DENY", "content-security-policy": "frame-ancestors 'none'" },
  "same-origin": {
    "x-frame-options": "SAMEORIGIN",
    "content-security-policy": "frame-ancestors 'self'",
  },
};

const HSTS = "max-age=31536000";

const KEYS = ["hsts", "frame", "referrer", "nosniff"];

/** Returns the fields of the preset, for replies that do not have them. */
export function readSecurity(
  value: unknown,
  { key, refuse }: ActionPlace,
): Record<string, string> | null {
  if (value === false) return null;
  const own = value === true ? {} : value;
  if (!isRecord(own)) {
    refuse(key, value, 'true, or an object: { frame: "deny", hsts: "max-age=600" }');
    return null;
  }
  refuseUnknown(own, KEYS, { key, refuse });
  const { hsts = true, frame = "same-origin", nosniff = true } = own;
  const { referrer = "strict-origin-when-cross-origin" } = own;
  const fields: Record<string, string> = {};
  if (nosniff === true) fields["x-content-type-options"] = "nosniff";
  else if (nosniff !== false) refuse(`${key}.nosniff`, nosniff, "true or false");
  if (frame !== false) {
    const known = typeof frame === "string" ? FRAMES[frame] : undefined;
    if (known === undefined) refuse(`${key}.frame`, frame, '"deny", "same-origin" or false');
    Object.assign(fields, known);
  }
  if (referrer !== false) {
    const isValue = describeFieldProblem("referrer-policy", referrer) === null;
    if (!isValue) refuse(`${key}.referrer`, referrer, 'a policy such as "no-referrer", or false');
    else fields["referrer-policy"] = String(referrer);
  }
  const policy = hsts === true ? HSTS : hsts;
  if (typeof policy === "string" && /^max-age=\d+(?:; *[A-Za-z]+)*$/.test(policy)) {
    fields["strict-transport-security"] = policy;
  } else if (policy !== false) {
    refuse(
      `${key}.hsts`,
      hsts,
      'true, false, or a value such as "max-age=31536000; includeSubDomains"',
    );
  }
  return fields;
}
