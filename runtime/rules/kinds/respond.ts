import type { Kind } from "../kind.ts";

/** Answers with a fixed text. The first rule wins. */
export const respond: Kind = {
  phase: "answer",
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
