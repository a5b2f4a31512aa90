import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { FILE_PREFIX, isToken, LEAST_TOKEN_LENGTH } from "./admin-setting.ts";
import type { Origin } from "./origins.ts";
import { environmentName, type SettingName } from "./settings.ts";

/**
 * Returns the digest of the token that a setting names, or the problem with it: a config holds no token, so that no log, answer
 * or message can show it.
 */
export function readToken(
  setting: SettingName,
  token: string | null,
  { label, baseDir }: Pick<Origin, "label" | "baseDir">,
): { digest: string | null } | { problem: string } {
  if (token === null) return { digest: null };
  if (!token.startsWith(FILE_PREFIX)) {
    if (!label.startsWith("--")) return { digest: digestOf(token) };
    return {
      problem:
        `Cannot use ${label}: found a token, which all users of the machine see among the processes, ` +
        `expected "file:" and the path of a file that has it (or the variable ${environmentName(setting)})`,
    };
  }
  const path = resolve(baseDir, token.slice(FILE_PREFIX.length));
  try {
    const text = readFileSync(path, "utf8").trim();
    if (isToken(text)) return { digest: digestOf(text) };
    return {
      problem: `Cannot use ${label}: found ${text.length} characters in ${path}, expected a text of at least ${LEAST_TOKEN_LENGTH} letters, digits and punctuation marks`,
    };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { problem: `Cannot use ${label}: ${reason}, expected a file that has the token` };
  }
}

/** Returns the SHA-256 digest of a token, in hex. */
export function digestOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
