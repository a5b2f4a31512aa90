import type { Client } from "../../http/client.ts";
import type { Stage } from "../site.ts";

/** Begins the trace of each request. Requests that are explained have none. */
export function traceRequests(begin: (client: Client) => void): Stage {
  return (client) => {
    if (client.inquiry === undefined) begin(client);
    return "next";
  };
}
