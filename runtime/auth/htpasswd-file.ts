import { describeUserProblem, isWeakHash } from "../lib/password-hashes.ts";

/** The users of a file or of a config, with the hashes of their passwords. */
export type Users = ReadonlyMap<string, string>;

export type UsersResult =
  | { ok: true; users: Users; warnings: readonly string[] }
  /** One line per problem. */
  | { ok: false; problems: readonly string[] };

/**
 * Reads a file of Apache's `htpasswd`: lines of `name:hash`. Skips empty lines and those that begin with `#`. Apache
 * and Nginx allow more fields after a second colon, so this does, too.
 *
 * @param name The file, for messages: each begins with `file:line:`.
 */
export function parseHtpasswd(text: string, name: string): UsersResult {
  const users = new Map<string, string>();
  const problems: string[] = [];
  const weak: string[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const place = `${name}:${index + 1}`;
    const [user = "", hash] = line.split(":", 2);
    const problem = hash === undefined ? 'no ":"' : describeUserProblem(user, hash);
    if (problem !== null || hash === undefined) {
      problems.push(`${place}: found ${problem}, expected a line of htpasswd such as user:$2y$...`);
    } else if (users.has(user)) {
      problems.push(`${place}: found the user ${JSON.stringify(user)} again, expected each once`);
    } else {
      users.set(user, hash.trimEnd());
      if (isWeakHash(hash)) weak.push(place);
    }
  }
  if (problems.length > 0) return { ok: false, problems };
  const warnings = weak.map(
    (place) => `${place}: {SHA} is a hash that is fast to guess: use htpasswd -B`,
  );
  return { ok: true, users, warnings };
}
