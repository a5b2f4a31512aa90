import { readFileSync } from "node:fs";
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
    const text = readText(join(dir, name));
    if (text === null) return [];
    if (text.length > MOST_BYTES) {
      problems.push(`Cannot use ${path}: found ${text.length} bytes, expected at most 1 MiB`);
      return [];
    }
    return parse(text, (line, found, expected) => {
      const shown = found.length > 80 ? `${found.slice(0, 76)}...` : found;
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

function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // Missing, as nearly always. A folder of this name has no rules.
    return null;
  }
}
