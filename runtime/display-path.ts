import { relative, sep } from "node:path";

/** A path as a person would write it: relative to the current folder if it is inside, with `/`. */
export function toDisplayPath(path: string): string {
  const fromHere = relative(process.cwd(), path);
  const isInside = fromHere !== "" && !fromHere.startsWith("..");
  return (isInside ? fromHere : path).split(sep).join("/");
}
