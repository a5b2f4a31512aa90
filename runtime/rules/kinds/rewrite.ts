import { parseTarget } from "../../http/target-path.ts";
import type { Kind } from "../kind.ts";
import { compileTemplate } from "../fill-path.ts";

/** Changes the target for the responder. The first rule wins. The gates of the new path see the request, too. */
export const rewrite: Kind = {
  actions: ["rewrite"],
  phase: "answer",
  compose(rules, { checkRewritten }) {
    const rule = rules.find((each) => each.rewrite !== undefined);
    if (rule?.rewrite === undefined) return null;
    const fill = compileTemplate(rule.rewrite, rule);
    return (client, target) => {
      const rewritten = parseTarget(fill(target));
      if (!rewritten.ok) {
        client.refuse(400);
        return "done";
      }
      Object.assign(target, rewritten);
      return checkRewritten(client, target);
    };
  },
};
