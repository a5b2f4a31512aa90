import type { RuleActions } from "../../config/rule-actions.ts";
import { editFields, type FieldEdits } from "../../http/edit-fields.ts";
import { addFilter, type ReplyFilter } from "../../http/reply.ts";
import type { Kind } from "../kind.ts";
import { schemeOf } from "../rule-table.ts";

/** RFC 6797 section 7.2: never without TLS. */
const HSTS = "strict-transport-security";

/**
 * Sets, appends and removes fields of every reply. The rules merge: for one field, the last rule wins, and the fields
 * of `security` come last, for replies without them.
 */
export const editReplies: Kind = {
  actions: ["setFields", "appendFields", "removeFields", "joinFields", "security"],
  phase: "reply",
  compose(rules) {
    const edits = mergeEdits(rules);
    if (edits === null) return null;
    const secure = createFieldFilter(edits);
    if (!edits.names.has(HSTS)) {
      return (client) => {
        addFilter(client, secure);
        return "next";
      };
    }
    const plain = createFieldFilter(mergeEdits(rules, HSTS) ?? edits);
    return (client) => {
      addFilter(client, schemeOf(client.head.origin) === "https" ? secure : plain);
      return "next";
    };
  },
};

/** Returns a filter that applies these changes. It remembers the last block: most replies of a rule have the same. */
export function createFieldFilter(edits: FieldEdits): ReplyFilter {
  let before = "";
  let after = editFields(before, edits);
  return (reply) => {
    if (reply.fields !== before) {
      before = reply.fields;
      after = editFields(before, edits);
    }
    return { ...reply, fields: after };
  };
}

interface Change {
  /** Fields of the reply with this name are left out. */
  drops: boolean;
  values: string[];
}

/**
 * Merges the changes of several rules.
 *
 * @param without Name of a field that is left as it is.
 * @returns `null`: the rules change nothing.
 */
export function mergeEdits(
  rules: readonly RuleActions[],
  without?: string,
): (FieldEdits & { names: ReadonlySet<string> }) | null {
  const changes = new Map<string, Change>();
  const defaults = new Map<string, string>();
  const vary: string[] = [];
  for (const { removeFields, setFields, appendFields, joinFields, security } of rules) {
    for (const name of removeFields ?? []) changes.set(name, { drops: true, values: [] });
    for (const [name, value] of Object.entries(setFields ?? {})) {
      changes.set(name, { drops: true, values: [value] });
    }
    for (const [name, value] of Object.entries(appendFields ?? {})) {
      if (name === "vary") vary.push(...value.toLowerCase().split(/ *, */));
      if (name === "vary") continue;
      const { drops = false, values = [] } = changes.get(name) ?? {};
      changes.set(name, { drops, values: [...values, value] });
    }
    for (const [name, own] of Object.entries(joinFields ?? {})) {
      const { drops = false, values = [] } = changes.get(name) ?? {};
      const all = drops ? [...values, ...own] : own;
      // Cookies cannot be joined (RFC 9110 section 5.3).
      changes.set(name, {
        drops: true,
        values: name === "set-cookie" ? [...all] : [all.join(", ")],
      });
    }
    for (const [name, value] of Object.entries(security ?? {})) defaults.set(name, value);
  }
  const names = new Set([...changes.keys(), ...defaults.keys()]);
  if (names.size === 0 && vary.length === 0) return null;
  if (without !== undefined) {
    changes.delete(without);
    defaults.delete(without);
  }
  for (const [name, { drops }] of changes) if (drops) defaults.delete(name);
  const dropped = [...changes].flatMap(([name, { drops }]) => (drops ? [name] : []));
  const added = [...changes].flatMap(([name, { values }]) =>
    values.flatMap((value) => [name, value]),
  );
  const edits = { dropped: new Set(dropped), added: added.join("\n"), defaults: [...defaults] };
  return { ...edits, names, vary };
}
