import type { Client } from "../../http/client.ts";
import { addFilter } from "../../http/reply.ts";
import { withVary } from "../../http/vary.ts";

/** Says in every reply to this request that it depends on a field of the request. */
export function addVary(client: Client, name: string): void {
  addFilter(client, (reply) => ({ ...reply, fields: withVary(reply.fields, name) }));
}
