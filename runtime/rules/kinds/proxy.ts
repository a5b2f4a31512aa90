import type { Kind } from "../kind.ts";

/** Lets an upstream answer, before files and handlers. The first rule wins. */
export const proxy: Kind = {
  actions: ["proxy"],
  phase: "answer",
  compose(rules, { context }) {
    const setting = rules.find((rule) => rule.proxy !== undefined)?.proxy;
    if (setting === undefined) return null;
    const responder = context.proxyOf(setting);
    return () => responder;
  },
};
