import type { ExchangeId } from "../../runtime/channel/messages.ts";
import type { AccessRules, FinishedExchange, LoggedHead } from "../../runtime/log/access-entry.ts";

/** Rules that leave out everything that they may leave out. */
export const FEW_PARTS: AccessRules = {
  withQuery: false,
  withClient: false,
  redactQuery: (query) => query,
};

/** Makes an exchange that began at 0 ms and that worker 1 answered. */
export function finishedExchange(
  head: Partial<LoggedHead> = {},
  changes: Partial<Omit<FinishedExchange, "head">> = {},
): FinishedExchange {
  return {
    // Ids are whole numbers.
    id: 1 as ExchangeId,
    receivedMs: 0,
    workerId: 1,
    limitedBy: null,
    ...changes,
    head: {
      clientAddress: "192.0.2.1",
      origin: "https://example.com",
      method: "GET",
      target: "/hello",
      fields: null,
      ...head,
    },
  };
}
