import type { RedirectEntry } from "../config/redirects-file.ts";
import { compileTemplate, type FillPath } from "./fill-path.ts";
import { createRuleTable, type RuleTable } from "./rule-table.ts";

/** A line of `_redirects`. */
export interface CompiledRedirect {
  status: number;
  fill: FillPath;
}

/** Lines of `_redirects`, in their order. `find` returns the numbers of those that hold for a request. */
export interface RedirectTable {
  find: RuleTable;
  entries: readonly CompiledRedirect[];
}

/** The lines that hold also where a file or a route has the path, and all others. */
export interface RedirectRules {
  forced: RedirectTable;
  unforced: RedirectTable;
}

/** Compiles the lines of `_redirects`. */
export function compileRedirects(entries: readonly RedirectEntry[]): RedirectRules {
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
