import type { Client } from "../http/client.ts";
import { addFilter } from "../http/reply.ts";
import { parseTarget, type ParsedTarget } from "../http/target-path.ts";
import type { CompiledRules } from "./compile-rules.ts";
import type { CurrentFolderRules } from "./folder-rule-files.ts";
import type { Step } from "./kind.ts";
import { toRuleKey } from "./path-readings.ts";
import type { CompiledRedirect, RedirectRules, RedirectTable } from "./redirect-rules.ts";

export interface FolderRulesOptions {
  /** The rules of the folder. A change of its files replaces them. */
  rules: CurrentFolderRules;
  pages: {
    /** Answers with the file of a decoded path; false: there is none. */
    answerWith(
      client: Client,
      page: { path: string; use: "page" | "not-found" },
      target: ParsedTarget,
    ): boolean;
    hasFile(path: string): boolean;
  };
  hasRoute: (target: ParsedTarget) => boolean;
  /** Serves a request with the stages from the public folder on. */
  serveRest: (client: Client, target: ParsedTarget) => void;
  checkRewritten: CompiledRules["checkRewritten"];
}

/**
 * The stages of a public folder with the rules of its files `_headers` and `_redirects`, as Netlify and Cloudflare Pages
 * read them.
 */
export class FolderRules {
  readonly #options: FolderRulesOptions;
  readonly #rules: CurrentFolderRules;

  constructor(options: FolderRulesOptions) {
    this.#options = options;
    this.#rules = options.rules;
  }

  /**
   * Returns the stage of the public folder with its rules: first the redirects that hold where a file has the path, too,
   * then files, then all other redirects.
   */
  around(answerFile: Step): Step {
    const withHeaders = this.withHeaders(answerFile);
    return (client, target) => {
      const { headers, redirects } = this.#rules;
      if (redirects === null) {
        return headers === null ? answerFile(client, target) : withHeaders(client, target);
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
      const filter = this.#rules.headers?.filterOf(client, target) ?? null;
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
}
