import type { HeadersRule } from "../config/headers-file.ts";
import type { Client } from "../http/client.ts";
import type { ReplyFilter } from "../http/reply.ts";
import type { ParsedTarget } from "../http/target-path.ts";
import { createFieldFilter, mergeEdits } from "./kinds/edit-replies.ts";
import { toRuleKey } from "./path-readings.ts";
import { createRuleTable, type RuleTable, schemeOf } from "./rule-table.ts";
import { SetTable } from "./set-table.ts";

/** The filters of `_headers`, by the rules that hold for a request. */
export class HeaderRules {
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

  /** Returns the filter for the replies to a request; `null`: no rule holds. */
  filterOf(client: Client, target: ParsedTarget): ReplyFilter | null {
    const found: number[] = [];
    this.#find(toRuleKey(target.rewrittenFrom ?? target.pathname), { client, target }, found);
    const filters = found.length === 0 ? null : this.#filters.get(found);
    return filters?.[schemeOf(client.head.origin) === "https" ? "secure" : "plain"] ?? null;
  }
}
