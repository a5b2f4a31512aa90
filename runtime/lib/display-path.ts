import { relative, sep } from "node:path";

/** Shortens a path for users: relative to the current folder if it is inside, with `/`. */
export function toDisplayPath(path: string): string {
  const fromHere = relative(process.cwd(), path);
  const isInside = fromHere !== "" && !fromHere.startsWith("..");
  return (isInside ? fromHere : path).split(sep).join("/");
}
