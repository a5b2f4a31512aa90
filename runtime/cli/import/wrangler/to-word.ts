import { sep } from "node:path";

/** Returns a relative path as the config names it: with `/`, and `.` for the folder itself. */
export function toWord(path: string): string {
  return path === "" ? "." : path.split(sep).join("/");
}
