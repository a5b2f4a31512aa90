import { SERVER_FIELDS } from "../lib/server-fields.ts";

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Visible characters and spaces of one byte each, without spaces at the ends (RFC 9110 section 5.5). */
const VALUE = /^(?:[\x21-\x7e\xa1-\xff](?:[\t\x20-\x7e\xa0-\xff]*[\x21-\x7e\xa1-\xff])?)?$/;

/** Returns the end of a sentence "found x, expected ..." for a field that a rule cannot set; `null`: it can. */
export function describeFieldProblem(name: string, value: unknown): string | null {
  if (!TOKEN.test(name)) return "a name of a header field";
  if (SERVER_FIELDS.has(name.toLowerCase()))
    return "a field other than those of framing and connection";
  if (typeof value !== "string") return "a text";
  return VALUE.test(value) ? null : "a text without line breaks and characters above U+00FF";
}
