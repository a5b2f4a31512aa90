import type { Client } from "../http/client.ts";

const FIELDS = "content-type\ntext/plain;charset=UTF-8\ncache-control\nno-store";

/**
 * Answers whether the server can serve: 200, or 503 while no worker is ready and when it stops. The text is for users;
 * health checks use the status. It uses no worker and no queue, so that overload does not look like a failure.
 */
export function answerHealth(client: Client, canServe: boolean): void {
  const { method } = client.head;
  if (method !== "GET" && method !== "HEAD") {
    const fields = `${FIELDS}\nallow\nGET, HEAD`;
    const body = "Method Not Allowed\n";
    client.reply({ status: 405, statusText: "", fields, body, lengthBytes: null });
    return;
  }
  const [status, body] = canServe ? [200, "ok\n"] : [503, "no worker is ready\n"];
  client.reply({ status, statusText: "", fields: FIELDS, body, lengthBytes: null });
}
