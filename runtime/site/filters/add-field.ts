import type { Client } from "../../http/client.ts";
import { addFilter } from "../../http/reply.ts";

/** Adds a field to every reply to this request. Name and value must be ASCII without line breaks. */
export function addField(client: Client, name: string, value: string): void {
  addFilter(client, (reply) => {
    const { fields } = reply;
    return { ...reply, fields: `${fields}${fields === "" ? "" : "\n"}${name}\n${value}` };
  });
}
