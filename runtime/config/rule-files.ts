import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { type HeadersRule, parseHeadersFile } from "./headers-file.ts";
import { parseRedirectsFile, type RedirectEntry } from "./redirects-file.ts";

/** Names of the files in a public folder that have rules, as Netlify and Cloudflare Pages read them. */
export const HEADERS_FILE = "_headers";
export const REDIRECTS_FILE = "_redirects";

/** Largest file. */
const MOST_BYTES = 1024 * 1024;

/** The rules of the files in a public folder. */
export interface FolderRules {
  headers: readonly HeadersRule[];
  redirects: readonly RedirectEntry[];
  /** `Cannot use public/_redirects:7: found ..., expected ...` */
  problems: readonly string[];
}

/**
 * Reads the files of rules in a public folder. A missing file has no rules.
 *
 * @param shownAs The folder in messages.
 */
export function readFolderRules(dir: string, shownAs: string): FolderRules {
  const problems: string[] = [];
  const read = <Entry>(
    name: string,
    parse: (text: string, report: ReportLine) => Entry[],
  ): Entry[] => {
    const path = join(shownAs, name);
    const found = readText(join(dir, name));
    if (found === null) return [];
    if ("code" in found) {
      problems.push(`Cannot use ${path}: found ${found.code}, expected a file that can be read`);
      return [];
    }
    const { text } = found;
    if (text.length > MOST_BYTES) {
      problems.push(`Cannot use ${path}: found ${text.length} bytes, expected at most 1 MiB`);
      return [];
    }
    return parse(text, (line, wrong, expected) => {
      const shown = wrong.length > 80 ? `${wrong.slice(0, 76)}...` : wrong;
      problems.push(
        `Cannot use ${path}:${line}: found ${JSON.stringify(shown)}, expected ${expected}`,
      );
    });
  };
  const headers = read(HEADERS_FILE, parseHeadersFile);
  const redirects = read(REDIRECTS_FILE, parseRedirectsFile);
  return { headers, redirects, problems };
}

/** Reports a wrong line. Lines count from 1. */
export type ReportLine = (line: number, found: string, expected: string) => void;

/** Returns the text of a file; `null`: there is no such file. */
function readText(path: string): { text: string } | { code: string } | null {
  // Nearly always there is none. An error for each of 1,000 sites would cost more than the look.
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return null;
  try {
    return { text: readFileSync(path, "utf8") };
  } catch (error) {
    // Node's errors of files have a code.
    const { code = "an error" } = error as NodeJS.ErrnoException;
    return code === "ENOENT" ? null : { code };
  }
}
