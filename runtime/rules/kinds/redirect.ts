import type { Kind } from "../kind.ts";
import { compileTemplate } from "../fill-path.ts";

/** Redirects to another URL. The first rule wins whose target is not the URL of the request. */
export const redirect: Kind = {
  actions: ["redirect"],
  phase: "answer",
  compose(rules) {
    const redirects = rules.flatMap((rule) =>
      rule.redirect === undefined
        ? []
        : [{ status: rule.redirect.status, fill: compileTemplate(rule.redirect.to, rule) }],
    );
    if (redirects.length === 0) return null;
    return (client, target) => {
      for (const { status, fill } of redirects) {
        const location = fill(target);
        const own = target.pathname + target.search;
        if (location === own || location === client.head.origin + own) continue;
        const fields = `location\n${location}`;
        client.reply({ status, statusText: "", fields, body: "", lengthBytes: null });
        return "done";
      }
      return "next";
    };
  },
};
