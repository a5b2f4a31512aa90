import type { Kind } from "../kind.ts";

/** Gives the route that answers other settings. For one setting, the last rule wins. */
export const applySettings: Kind = {
  phase: "answer",
  compose(rules) {
    const all = rules.flatMap(({ settings }) => settings ?? []);
    if (all.length === 0) return null;
    const settings = all.reduce((merged, next) => ({ ...merged, ...next }), {});
    return (_, target) => {
      target.settings = settings;
      return "next";
    };
  },
};
