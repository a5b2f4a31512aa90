import type { RuleSetting } from "../../config/rule-settings.ts";
import type { Inquiry } from "../../http/inquiry.ts";
import type { Kind } from "../kind.ts";

/** Gives the route that answers other settings. For one setting, the last rule wins. */
export const applySettings: Kind = {
  actions: ["settings"],
  phase: "answer",
  compose(rules) {
    const all = rules.flatMap(({ settings }) => settings ?? []);
    if (all.length === 0) return null;
    const settings = all.reduce((merged, next) => ({ ...merged, ...next }), {});
    return (client, target) => {
      target.settings = settings;
      if (client.inquiry !== undefined) tellSettings(client.inquiry, rules);
      return "next";
    };
  },
};

function tellSettings(inquiry: Inquiry, rules: readonly RuleSetting[]): void {
  for (const { settings, key: rule } of rules) {
    if (settings !== undefined) {
      inquiry.tell({ kind: "rule-settings", fields: Object.keys(settings), rule });
    }
  }
}
