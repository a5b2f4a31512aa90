import {
  type FolderRules as ReadRules,
  readFolderRules,
  readRulesVersion,
} from "../config/rule-files.ts";
import { toDisplayPath } from "../lib/display-path.ts";
import { RuntimeError } from "../lib/errors.ts";
import { OneAtATime } from "../lib/one-at-a-time.ts";
import type { Prepared } from "../lib/prepared.ts";
import { HeaderRules } from "./header-rules.ts";
import { compileRedirects, type RedirectRules } from "./redirect-rules.ts";

/** The present rules of a public folder. When its files change, other rules replace them here. */
export interface CurrentFolderRules {
  /** `null`: no line of `_headers`. */
  headers: HeaderRules | null;
  /** `null`: no line of `_redirects`. */
  redirects: RedirectRules | null;
}

export interface RuleFilesLog {
  error(fields: object, message: string): void;
  info(fields: object, message: string): void;
}

/** A public folder. */
interface RuleFolder {
  /** The version of the files whose rules are used. */
  version: string;
  /** The version with mistakes that the log has named; empty: none. */
  refusedVersion: string;
  readonly rules: CurrentFolderRules;
  /** Reads the files again if they have another version. */
  readonly refresh: OneAtATime;
}

/**
 * The files `_headers` and `_redirects` of all public folders. A reload prepares them. Between reloads they are read
 * again when the folder changes. A changed file with a mistake changes nothing.
 *
 * All reading is asynchronous: no request waits for it.
 */
export class FolderRuleFiles {
  readonly #log: RuleFilesLog;
  #folders: ReadonlyMap<string, RuleFolder> = new Map();

  constructor(log: RuleFilesLog) {
    this.#log = log;
  }

  /**
   * Returns the rules of a folder among the committed ones.
   *
   * @throws TypeError for a folder that was not prepared.
   */
  rulesOf(dir: string): CurrentFolderRules {
    const folder = this.#folders.get(dir);
    if (folder === undefined) throw new TypeError(`no rules of ${dir}`);
    return folder.rules;
  }

  /**
   * Reads the files of the next config, as far as they changed.
   *
   * @param dirs Absolute paths of all public folders.
   * @throws RuntimeError `ERR_CONFIG` with one line per problem, each with file and line.
   */
  async prepare(dirs: readonly string[]): Promise<Prepared> {
    const wanted = [...new Set(dirs)];
    const read = await Promise.all(wanted.map((dir) => this.#readChanged(dir)));
    const problems = read.flatMap((each) => each?.problems ?? []);
    if (problems.length > 0) throw new RuntimeError("ERR_CONFIG", problems.join("\n"));
    return {
      commit: () => {
        this.#commit(new Map(wanted.map((dir, at) => [dir, read[at] ?? null])));
      },
      discard: () => Promise.resolve(),
    };
  }

  /** Reads the files of a folder again if they changed. Must be called when something in the folder changed. */
  refresh(dir: string): void {
    this.#folders
      .get(dir)
      ?.refresh.run()
      .catch((error: unknown) => this.#log.error({ err: error }, "cannot read rules of a folder"));
  }

  #commit(read: ReadonlyMap<string, VersionedRules | null>): void {
    const next = new Map<string, RuleFolder>();
    for (const [dir, rules] of read) {
      const folder = this.#folders.get(dir) ?? this.#toFolder(dir);
      if (rules !== null) useRules(folder, rules);
      next.set(dir, folder);
    }
    this.#folders = next;
    // A file may have changed since it was read.
    for (const dir of next.keys()) this.refresh(dir);
  }

  #toFolder(dir: string): RuleFolder {
    return {
      version: "",
      refusedVersion: "",
      rules: { headers: null, redirects: null },
      refresh: new OneAtATime(() => this.#reread(dir)),
    };
  }

  async #reread(dir: string): Promise<void> {
    const folder = this.#folders.get(dir);
    const read = await this.#readChanged(dir);
    if (folder === undefined || read === null) return;
    const { problems, version } = read;
    if (version === folder.refusedVersion) return;
    if (problems.length === 0) {
      useRules(folder, read);
      this.#log.info({ folder: toDisplayPath(dir) }, "rules of a public folder read again");
      return;
    }
    folder.refusedVersion = version;
    for (const problem of problems) this.#log.error({ code: "ERR_CONFIG" }, problem);
  }

  /** Returns the rules of a folder; `null`: its files have the version whose rules are used. */
  async #readChanged(dir: string): Promise<VersionedRules | null> {
    // Before the files are read: a later version is another one.
    const version = await readRulesVersion(dir);
    if (this.#folders.get(dir)?.version === version) return null;
    return { ...(await readFolderRules(dir, toDisplayPath(dir))), version };
  }
}

interface VersionedRules extends ReadRules {
  version: string;
}

function useRules(folder: RuleFolder, { version, headers, redirects }: VersionedRules): void {
  folder.version = version;
  folder.refusedVersion = "";
  folder.rules.headers = headers.length === 0 ? null : new HeaderRules(headers);
  folder.rules.redirects = redirects.length === 0 ? null : compileRedirects(redirects);
}
