import { createAddressRanges } from "../../lib/address-ranges.ts";
import type { Kind } from "../kind.ts";

/** Answers 503 to all clients but those that a rule names. The first rule wins. */
export const pauseForMaintenance: Kind = {
  actions: ["maintenance"],
  phase: "gate",
  firstOf: "maintenance",
  compose(rules) {
    const setting = rules.find((rule) => rule.maintenance !== undefined)?.maintenance;
    if (setting === undefined) return null;
    const { fields, body, allow } = setting;
    const allowed = createAddressRanges(allow);
    const reply = { status: 503, statusText: "", fields, body, lengthBytes: null };
    return (client) => {
      if (allowed.has(client.head.clientAddress)) return "next";
      client.reply(reply);
      return "done";
    };
  },
};
