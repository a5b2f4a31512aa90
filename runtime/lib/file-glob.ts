/** End of the sentence "found x, expected ..." for text that is no pattern of files. */
export const FILE_GLOB_EXPECTED =
  'patterns such as "/assets/**" (all files below), "/img/*.png" or "*.pdf" (in any folder)';

/**
 * Parses a pattern of files: `*` stands for any characters of a name, `**` for any folders, also none. A pattern without
 * a slash at its start is one of names, in any folder.
 *
 * @returns An expression for decoded paths, such as `/img/a b.png`; `null` for text that is no pattern. A last segment
 *   `*` is none: some programs read it as "all below", others as "in this folder".
 */
export function parseFileGlob(pattern: string): RegExp | null {
  const isOfNames = !pattern.startsWith("/");
  const segments = (isOfNames ? pattern : pattern.slice(1)).split("/");
  if (pattern === "" || (isOfNames && segments.length > 1) || segments.at(-1) === "*") return null;
  let source = isOfNames ? "(?:/[^/]+)*" : "";
  for (const [index, segment] of segments.entries()) {
    const isLast = index === segments.length - 1;
    if (segment === "**") source += isLast ? "/.*" : "(?:/[^/]+)*";
    else if (segment.includes("**") || (segment === "" && !isLast)) return null;
    else source += `/${segment.split("*").map(escapeExpression).join("[^/]*")}`;
  }
  return new RegExp(`^${source}$`, "s");
}

function escapeExpression(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, (character) => `\\${character}`);
}
