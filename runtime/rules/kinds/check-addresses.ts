import { createAddressRanges } from "../../lib/address-ranges.ts";
import type { Kind } from "../kind.ts";

/** Refuses clients by their addresses with 403. Every rule counts: one that refuses is enough. */
export const checkAddresses: Kind = {
  actions: ["allow", "deny"],
  phase: "gate",
  compose(rules) {
    const denied = createAddressRanges(rules.flatMap(({ deny }) => deny ?? []));
    const allowed = rules.flatMap(({ allow }) => (allow === undefined ? [] : [allow]));
    if (allowed.length === 0 && rules.every(({ deny }) => deny === undefined)) return null;
    const lists = allowed.map(createAddressRanges);
    return (client) => {
      const { clientAddress } = client.head;
      const isAllowed = lists.every((list) => list.has(clientAddress));
      if (isAllowed && !denied.has(clientAddress)) return "next";
      client.inquiry?.note(
        `the address ${clientAddress} is ${isAllowed ? "in a list of deny" : "not in every list of allow"}`,
      );
      client.refuse(403);
      return "done";
    };
  },
};
