import { dropFields } from "../../http/change-fields.ts";
import type { Kind } from "../kind.ts";

/**
 * Sets and removes fields of requests, for the responder. For one field, the last rule wins. It also removes fields
 * whose names differ only in `_`: a WSGI application cannot tell `x_user` from `x-user`.
 */
export const editRequests: Kind = {
  actions: ["setRequestFields", "removeRequestFields"],
  phase: "answer",
  compose(rules) {
    const values = new Map<string, string | null>();
    for (const { removeRequestFields, setRequestFields } of rules) {
      for (const name of removeRequestFields ?? []) values.set(name, null);
      for (const [name, value] of Object.entries(setRequestFields ?? {})) values.set(name, value);
    }
    if (values.size === 0) return null;
    const names = new Set([...values.keys()].map(toTwin));
    const added = [...values].flatMap((field) => (field[1] === null ? [] : field)).join("\n");
    return ({ head }) => {
      const kept = dropFields(head.fields, (name) => names.has(toTwin(name)));
      head.fields = [kept, added].filter(Boolean).join("\n");
      return "next";
    };
  },
};

function toTwin(name: string): string {
  return name.replaceAll("_", "-");
}
