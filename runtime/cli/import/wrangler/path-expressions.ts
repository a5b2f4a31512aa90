/** Returns the text of an expression for each pattern of Workers, whose `*` is any text. */
export function toExpressions(patterns: readonly string[]): string {
  return patterns.map((pattern) => `/${toSource(pattern)}/s`).join(", ");
}

function toSource(pattern: string): string {
  return `^${pattern.split("*").map(toPlain).join(".*")}$`;
}

/** Returns the source for a text. It is read as the modules of an import read a path: `%20` is a space. */
function toPlain(text: string): string {
  return (
    decode(text)
      .replaceAll(/[/\\]+/g, "/")
      .replaceAll(/[/\\^$.*+?()[\]{}|]/g, "\\$&")
      // A line of source cannot hold them.
      .replaceAll(/[\p{Cc}\u2028\u2029]/gu, (character) => {
        const code = character.charCodeAt(0).toString(16).padStart(4, "0");
        return `\\u${code}`;
      })
  );
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text.replaceAll(/%([0-7][\da-f])/gi, (_, code: string) =>
      String.fromCharCode(Number.parseInt(code, 16)),
    );
  }
}
