import type { Kind } from "../kind.ts";

/** Leaves requests out of the access log. The last rule wins. Counts and other logs have them. */
export const chooseLogging: Kind = {
  actions: ["accessLog"],
  phase: "reply",
  compose(rules) {
    const chosen = rules.flatMap(({ accessLog }) => accessLog ?? []).at(-1);
    if (chosen !== false) return null;
    return (client) => {
      client.isLogged = false;
      return "next";
    };
  },
};
