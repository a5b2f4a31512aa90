import type { Client } from "../../http/client.ts";
import type { Stage } from "../site.ts";

const FIELDS = "content-type\ntext/plain;charset=UTF-8\ncache-control\nno-store";

/**
 * Answers the health path: 200, or 503 while no worker is ready or the server is stopping. It needs no worker and no
 * place in the queue, so overload does not look like a failure.
 */
export function answerHealth(healthPath: string, canServe: () => boolean): Stage {
  return (client, { pathname }) => {
    if (pathname !== healthPath) return "next";
    answer(client, canServe());
    return "done";
  };
}

/** Health checks use the status. The text is for people. */
function answer(client: Client, isServing: boolean): void {
  const { method } = client.head;
  if (method !== "GET" && method !== "HEAD") {
    const fields = `${FIELDS}\nallow\nGET, HEAD`;
    const body = "Method Not Allowed\n";
    client.reply({ status: 405, statusText: "", fields, body, lengthBytes: null });
    return;
  }
  const [status, body] = isServing ? [200, "ok\n"] : [503, "no worker is ready\n"];
  client.reply({ status, statusText: "", fields: FIELDS, body, lengthBytes: null });
}
