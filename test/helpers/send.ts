import { once } from "node:events";
import { type IncomingMessage, request as requestPlain } from "node:http";
import { request as requestTls } from "node:https";
import { buffer } from "node:stream/consumers";

export interface Sent {
  method?: string;
  headers?: Readonly<Record<string, string>>;
  body?: string | Uint8Array;
}

/** A response as it came: not followed, not decoded, repeated fields kept apart. */
export interface Received {
  status: number;
  /** Names in lower case, in the order in which they came. */
  fields: [name: string, value: string][];
  body: Buffer;
  text: string;
}

/** Sends a request on a connection of its own. Any certificate will do, as for `curl -k`. */
export async function send(url: string, options: Sent = {}): Promise<Received> {
  const { method = "GET", headers = {}, body } = options;
  const request = url.startsWith("https:") ? requestTls : requestPlain;
  const sending = request(url, { method, headers, agent: false, rejectUnauthorized: false });
  // An answer may come before the body has left. The connection then ends under the rest.
  sending.on("error", () => {});
  sending.end(body);
  // Of this event the types say only that it has arguments.
  const [incoming] = (await once(sending, "response")) as [IncomingMessage];
  // A connection that breaks during the response is an error of the response too.
  sending.on("error", () => {});
  const bytes = await buffer(incoming);
  const { statusCode = 0, rawHeaders } = incoming;
  const fields: [string, string][] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    fields.push([rawHeaders[at]?.toLowerCase() ?? "", rawHeaders[at + 1] ?? ""]);
  }
  return { status: statusCode, fields, body: bytes, text: bytes.toString("utf8") };
}

/** The value of a field; `undefined` when it is not there. */
export function fieldValue({ fields }: Pick<Received, "fields">, name: string): string | undefined {
  return fields.find(([other]) => other === name)?.[1];
}
