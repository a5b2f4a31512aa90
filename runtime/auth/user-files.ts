import { unwatchFile, watchFile } from "node:fs";
import { readFile } from "node:fs/promises";
import { isAbsolute, relative } from "node:path";
import { RuntimeError } from "../lib/errors.ts";
import { toDisplayPath } from "../lib/display-path.ts";
import type { Prepared } from "../lib/prepared.ts";
import type { Logger } from "../log/log.ts";
import { parseHtpasswd, type Users } from "./htpasswd-file.ts";
import type { PasswordChecks } from "./password-checks.ts";
import { UserList } from "./user-list.ts";

/** How often a file is looked at. The thread pool does it. */
const WATCH_MS = 1_000;

/** Largest file. One line takes about 70 bytes. */
const MOST_BYTES = 16 * 1024 * 1024;

interface UserFile {
  text: string;
  list: UserList;
  onChange: () => void;
}

interface ReadFile {
  text: string;
  users: Users;
  warnings: readonly string[];
}

/**
 * The files of users that the config names. They outlive a reload: a file that did not change keeps the credentials
 * that were checked. A file that changes is read again.
 */
export class UserFiles {
  readonly #log: Logger;
  readonly #checks: PasswordChecks;
  readonly #files = new Map<string, UserFile>();

  constructor(log: Logger, checks: PasswordChecks) {
    this.#log = log;
    this.#checks = checks;
  }

  /**
   * Returns the present users of a file.
   *
   * @throws TypeError for a file that was not prepared.
   */
  listOf(path: string): UserList {
    const file = this.#files.get(path);
    if (file === undefined) throw new TypeError(`no users of ${path}`);
    return file.list;
  }

  /**
   * Reads the files of the next config.
   *
   * @param paths Absolute.
   * @param options.publicDirs Folders whose files every client can read.
   * @returns `null` if there are none, now and before.
   * @throws RuntimeError `ERR_CONFIG` with one line per problem, each with file and line.
   */
  async prepare(
    paths: readonly string[],
    { publicDirs }: { publicDirs: readonly string[] },
  ): Promise<Prepared | null> {
    const wanted = [...new Set(paths)];
    if (wanted.length === 0 && this.#files.size === 0) return null;
    const problems: string[] = [];
    const read = new Map<string, ReadFile>();
    for (const path of wanted) {
      if (publicDirs.some((dir) => isServed(path, dir))) {
        problems.push(`${toDisplayPath(path)}: found it in a public folder, expected another one`);
        continue;
      }
      const result = await readUsers(path);
      if ("problems" in result) problems.push(...result.problems);
      else read.set(path, result);
    }
    if (problems.length > 0) {
      throw new RuntimeError(
        "ERR_CONFIG",
        `Cannot use the users of basicAuth\n${problems.join("\n")}`,
      );
    }
    return {
      commit: () => this.#use(read),
      discard: () => Promise.resolve(),
    };
  }

  /** Stops looking at the files. */
  close(): void {
    this.#use(new Map());
  }

  #use(read: ReadonlyMap<string, ReadFile>): void {
    for (const [path, { onChange }] of this.#files) {
      if (read.has(path)) continue;
      unwatchFile(path, onChange);
      this.#files.delete(path);
    }
    for (const [path, { text, users, warnings }] of read) {
      const known = this.#files.get(path);
      if (known?.text === text) continue;
      for (const warning of warnings) this.#log.warn(warning);
      const list = new UserList(users, this.#checks);
      if (known !== undefined) {
        known.text = text;
        known.list = list;
        continue;
      }
      const onChange = (): void => void this.#reread(path);
      watchFile(path, { interval: WATCH_MS, persistent: false }, onChange);
      this.#files.set(path, { text, list, onChange });
    }
  }

  async #reread(path: string): Promise<void> {
    const result = await readUsers(path);
    const file = this.#files.get(path);
    if (file === undefined) return;
    const shown = toDisplayPath(path);
    if ("problems" in result) {
      this.#log.error(
        { file: shown, problems: result.problems },
        "cannot use the changed file of users: the users before the change stay",
      );
      return;
    }
    if (result.text === file.text) return;
    for (const warning of result.warnings) this.#log.warn(warning);
    file.text = result.text;
    file.list = new UserList(result.users, this.#checks);
    this.#log.info({ file: shown, users: result.users.size }, "file of users read again");
  }
}

/** Tells whether clients can read a file of a public folder. Names that begin with a dot are not served. */
function isServed(path: string, publicDir: string): boolean {
  const name = relative(publicDir, path);
  return !isAbsolute(name) && !/^\.|[\\/]\./.test(name);
}

async function readUsers(path: string): Promise<ReadFile | { problems: readonly string[] }> {
  const name = toDisplayPath(path);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { problems: [`${name}: found ${reason}, expected a file of htpasswd`] };
  }
  if (text.length > MOST_BYTES) {
    return { problems: [`${name}: found ${text.length} bytes, expected at most ${MOST_BYTES}`] };
  }
  const result = parseHtpasswd(text, name);
  return result.ok ? { text, ...result } : { problems: result.problems };
}
