import type { Kind } from "../kind.ts";

/** Answers with a fixed text. The first rule wins. A gate: a 403 for a path holds for requests that a rewrite leads there. */
export const respond: Kind = {
  actions: ["respond"],
  phase: "gate",
  firstOf: "respond",
  compose(rules) {
    const setting = rules.find((rule) => rule.respond !== undefined)?.respond;
    if (setting === undefined) return null;
    const reply = { ...setting, statusText: "", lengthBytes: null };
    return (client) => {
      client.reply(reply);
      return "done";
    };
  },
};
