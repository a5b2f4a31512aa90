import type { TransferLimits } from "../../http/client.ts";
import type { Stage } from "../site.ts";

/** Applies the limits for slow clients that a site has for itself. The limits of a route replace them. */
export function limitTransfers(limits: TransferLimits): Stage {
  return (client) => {
    client.limitTransfers(limits);
    return "next";
  };
}
