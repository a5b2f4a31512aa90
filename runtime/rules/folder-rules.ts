import { statSync } from "node:fs";
import { join } from "node:path";
import type { HeadersRule } from "../config/headers-file.ts";
import type { RedirectEntry } from "../config/redirects-file.ts";
import { HEADERS_FILE, readFolderRules, REDIRECTS_FILE } from "../config/rule-files.ts";
import type { Client } from "../http/client.ts";
import { addFilter, type ReplyFilter } from "../http/reply.ts";
import { parseTarget, type ParsedTarget } from "../http/target-path.ts";
import { toDisplayPath } from "../lib/display-path.ts";
import type { CompiledRules } from "./compile-rules.ts";
import { compileTemplate, type FillPath } from "./fill-path.ts";
import type { Step } from "./kind.ts";
import { createFieldFilter, mergeEdits } from "./kinds/edit-replies.ts";
import { toRuleKey } from "./path-readings.ts";
import { createRuleTable, type RuleTable, schemeOf } from "./rule-table.ts";
import { SetTable } from "./set-table.ts";

export interface FolderRulesOptions {
  folder: {
    /** Absolute path. */
    readonly dir: string;
    /** Differs after a change in the folder. */
    readonly changes: number;
  };
  pages: {
    /** Answers with the file of a decoded path; false: there is none. */
    answerWith(
      client: Client,
      page: { path: string; use: "page" | "not-found" },
      target: ParsedTarget,
    ): boolean;
    hasFile(path: string): boolean;
  };
  log: {
    error(fields: object, message: string): void;
    info(fields: object, message: string): void;
  };
  hasRoute: (target: ParsedTarget) => boolean;
  /** Serves a request with the stages from the public folder on. */
  serveRest: (client: Client, target: ParsedTarget) => void;
  checkRewritten: CompiledRules["checkRewritten"];
}

/**
 * The rules of the files `_headers` and `_redirects` in a public folder, as Netlify and Cloudflare Pages read them. Reads
 * the files again when they change. A file with a mistake changes nothing.
 */
export class FolderRules {
  readonly #options: FolderRulesOptions;
  #headers: HeaderRules | null = null;
  #redirects: RedirectRules | null = null;
  #seenChanges: number;
  #version: string;

  constructor(options: FolderRulesOptions) {
    const { folder } = options;
    this.#options = options;
    this.#seenChanges = folder.changes;
    this.#version = versionOf(folder.dir);
    this.#read();
  }

  /**
   * Returns the stage of the public folder with its rules: first the redirects that hold where a file has the path, too,
   * then files, then all other redirects.
   */
  around(answerFile: Step): Step {
    const withHeaders = this.withHeaders(answerFile);
    return (client, target) => {
      if (this.#seenChanges !== this.#options.folder.changes) this.#follow();
      const redirects = this.#redirects;
      if (redirects === null) {
        return this.#headers === null ? answerFile(client, target) : withHeaders(client, target);
      }
      const forced = this.#redirect(redirects.forced, client, target);
      if (forced !== "next") return forced;
      const outcome = withHeaders(client, target);
      if (outcome !== "next" || this.#isTaken(redirects, target)) return outcome;
      return this.#redirect(redirects.unforced, client, target);
    };
  }

  /** Tells whether a file or a route has the path: only a redirect with `!` holds there. */
  #isTaken({ unforced }: RedirectRules, target: ParsedTarget): boolean {
    const { pages, hasRoute } = this.#options;
    if (unforced.entries.length === 0 || hasRoute(target)) return true;
    return target.path !== null && pages.hasFile(target.path);
  }

  /** Returns a stage whose replies have the fields of `_headers`, if it answers. */
  withHeaders(stage: Step): Step {
    return (client, target) => {
      const filter = this.#headers?.filterOf(client, target) ?? null;
      if (filter === null) return stage(client, target);
      const before = client.filters?.length ?? 0;
      addFilter(client, filter);
      const outcome = stage(client, target);
      // The fields are for files only.
      if (outcome === "next") client.filters = client.filters?.toSpliced(before, 1) ?? null;
      return outcome;
    };
  }

  #redirect(table: RedirectTable, client: Client, target: ParsedTarget): ReturnType<Step> {
    // A rewritten request is not redirected again.
    if (target.rewrittenFrom !== undefined) return "next";
    const found: number[] = [];
    table.find(toRuleKey(target.pathname), { client, target }, found);
    for (const number of found) {
      const entry = table.entries[number];
      const outcome = entry === undefined ? "next" : this.#apply(entry, client, target);
      if (outcome !== "next") return outcome;
    }
    return "next";
  }

  #apply(
    { status, fill }: CompiledRedirect,
    client: Client,
    target: ParsedTarget,
  ): ReturnType<Step> {
    const location = fill(target);
    if (status === 200 || status === 404) return this.#rewrite(location, status, client, target);
    const own = target.pathname + target.search;
    if (location === own || location === client.head.origin + own) return "next";
    const fields = `location\n${location}`;
    client.reply({ status, statusText: "", fields, body: "", lengthBytes: null });
    return "done";
  }

  #rewrite(
    location: string,
    status: 200 | 404,
    client: Client,
    target: ParsedTarget,
  ): ReturnType<Step> {
    const { pages, checkRewritten, serveRest } = this.#options;
    const before = target.pathname;
    const rewritten = parseTarget(location.replace(/#.*$/s, ""));
    if (!rewritten.ok) {
      client.refuse(400);
      return "done";
    }
    Object.assign(target, rewritten, { rewrittenFrom: before });
    const outcome = checkRewritten(client, target, before);
    if (outcome !== "next") return outcome;
    const { path } = target;
    const use = status === 404 ? "not-found" : "page";
    const asFile = this.withHeaders(() =>
      path !== null && pages.answerWith(client, { path, use }, target) ? "done" : "next",
    );
    if (asFile(client, target) === "done") return "done";
    if (status === 404) client.refuse(404);
    else serveRest(client, target);
    return "done";
  }

  #follow(): void {
    const { folder } = this.#options;
    this.#seenChanges = folder.changes;
    const version = versionOf(folder.dir);
    if (version === this.#version) return;
    this.#version = version;
    this.#read();
  }

  #read(): void {
    const { folder, log } = this.#options;
    const { headers, redirects, problems } = readFolderRules(folder.dir, toDisplayPath(folder.dir));
    for (const problem of problems) log.error({ code: "ERR_CONFIG" }, problem);
    if (problems.length > 0) return;
    this.#headers = headers.length === 0 ? null : new HeaderRules(headers);
    this.#redirects = redirects.length === 0 ? null : compileRedirects(redirects);
  }
}

/** The filters of `_headers`, by the rules that hold for a request. */
class HeaderRules {
  readonly #find: RuleTable;
  readonly #filters: SetTable<{ secure: ReplyFilter; plain: ReplyFilter } | null>;

  constructor(rules: readonly HeadersRule[]) {
    this.#find = createRuleTable(rules.map(({ when }) => when));
    this.#filters = new SetTable((numbers) => {
      const held = numbers.flatMap((number) => rules[number] ?? []);
      const [secure, plain] = [mergeEdits(held), mergeEdits(held, "strict-transport-security")];
      if (secure === null || plain === null) return null;
      return { secure: createFieldFilter(secure), plain: createFieldFilter(plain) };
    });
  }

  filterOf(client: Client, target: ParsedTarget): ReplyFilter | null {
    const found: number[] = [];
    this.#find(toRuleKey(target.rewrittenFrom ?? target.pathname), { client, target }, found);
    const filters = found.length === 0 ? null : this.#filters.get(found);
    return filters?.[schemeOf(client.head.origin) === "https" ? "secure" : "plain"] ?? null;
  }
}

interface CompiledRedirect {
  status: number;
  fill: FillPath;
}

interface RedirectTable {
  find: RuleTable;
  entries: readonly CompiledRedirect[];
}

interface RedirectRules {
  forced: RedirectTable;
  unforced: RedirectTable;
}

function compileRedirects(entries: readonly RedirectEntry[]): RedirectRules {
  return {
    forced: toTable(entries.filter(({ isForced }) => isForced)),
    unforced: toTable(entries.filter(({ isForced }) => !isForced)),
  };
}

function toTable(entries: readonly RedirectEntry[]): RedirectTable {
  return {
    find: createRuleTable(entries.map(({ when }) => when)),
    entries: entries.map((entry) => ({
      status: entry.status,
      fill: compileTemplate(entry.to, entry),
    })),
  };
}

/** Differs if one of the files does. */
function versionOf(dir: string): string {
  return [HEADERS_FILE, REDIRECTS_FILE]
    .map((name) => {
      const stats = statSync(join(dir, name), { throwIfNoEntry: false });
      return stats === undefined ? "" : `${stats.ino}.${stats.size}.${stats.mtimeMs}`;
    })
    .join(" ");
}
