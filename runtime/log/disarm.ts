/**
 * Makes a JSON line safe to be shown: what a terminal would obey, escape sequences, backspaces and marks that turn the
 * direction of writing, comes out as its JSON escape. Line feeds and tabs stay: stacks have them.
 */
export function disarm(json: string): string {
  return json.replaceAll(HARMFUL, (found) => {
    if (found.startsWith("\\")) return ESCAPED_CONTROL.test(found) ? `\\${found}` : found;
    return `\\\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** An escape of JSON (looked at as a whole: its second character may be a backslash), or what JSON leaves as it is. */
const HARMFUL = /\\(?:u[0-9a-fA-F]{4}|.)|[\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

const ESCAPED_CONTROL = /^\\(?:[bfr]|u00(?:[01][0-9a-f]|7f|[89][0-9a-f]))$/i;
