import { checkFields } from "../../http/response-fields.ts";
import type { PreparedHead } from "./transport.ts";

/** Checks a field block, and prepares it for both protocols. Returns `null` when a name or a value is invalid. */
export function prepareHead(block: string): PreparedHead | null {
  const checked = checkFields(block);
  if (checked === null) return null;
  const { fields, contentLength } = checked;
  let lines = "";
  for (const [name, value] of fields) lines += `${name}: ${value}\r\n`;
  return { lines, fields, contentLength };
}
