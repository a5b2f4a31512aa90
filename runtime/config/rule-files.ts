import { readFile, stat } from "node:fs/promises";
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
export async function readFolderRules(dir: string, shownAs: string): Promise<FolderRules> {
  const problems: string[] = [];
  const read = async <Entry>(
    name: string,
    parse: (text: string, report: ReportLine) => Entry[],
  ): Promise<Entry[]> => {
    const path = join(shownAs, name);
    const found = await readText(join(dir, name));
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
  const headers = await read(HEADERS_FILE, parseHeadersFile);
  const redirects = await read(REDIRECTS_FILE, parseRedirectsFile);
  return { headers, redirects, problems };
}

/** Returns a text that differs after a change of one of the files. Never rejects. */
export async function readRulesVersion(dir: string): Promise<string> {
  const versions = await Promise.all(
    [HEADERS_FILE, REDIRECTS_FILE].map(async (name) => {
      try {
        const { ino, size, mtimeMs, ctimeMs } = await stat(join(dir, name));
        return `${ino}.${size}.${mtimeMs}.${ctimeMs}`;
      } catch {
        // It is missing, or cannot be examined. The attempt to read it tells which.
        return "none";
      }
    }),
  );
  return versions.join(" ");
}

/** Reports a wrong line. Lines count from 1. */
export type ReportLine = (line: number, found: string, expected: string) => void;

/** Returns the text of a file; `null`: there is no such file. */
async function readText(path: string): Promise<{ text: string } | { code: string } | null> {
  try {
    if (!(await stat(path)).isFile()) return null;
    return { text: await readFile(path, "utf8") };
  } catch (error) {
    // Node's errors of files have a code.
    const { code = "an error" } = error as NodeJS.ErrnoException;
    return code === "ENOENT" ? null : { code };
  }
}
