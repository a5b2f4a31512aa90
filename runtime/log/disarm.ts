/**
 * Makes a JSON line safe to show on a terminal. Turns escape sequences, backspaces and marks that change the text
 * direction into JSON escapes. Line feeds and tabs stay, because stacks contain them.
 */
export function disarm(json: string): string {
  return json.replaceAll(HARMFUL, (found) => {
    if (found.startsWith("\\")) return ESCAPED_CONTROL.test(found) ? `\\${found}` : found;
    return `\\\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/**
 * A JSON escape, or a harmful character that JSON does not escape. Matches escapes as a whole, because one may be a
 * double backslash.
 */
const HARMFUL = /\\(?:u[0-9a-fA-F]{4}|.)|[\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

const ESCAPED_CONTROL = /^\\(?:[bfr]|u00(?:[01][0-9a-f]|7f|[89][0-9a-f]))$/i;
