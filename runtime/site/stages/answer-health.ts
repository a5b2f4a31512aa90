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
    const isServing = canServe();
    answerCheck(client, {
      status: isServing ? 200 : 503,
      body: isServing ? "ok\n" : "no worker is ready\n",
    });
    return "done";
  };
}

/** Answers a health check, which uses the status: the text is for people. Answers 405 to other methods than GET and HEAD. */
export function answerCheck(client: Client, answer: { status: number; body: string }): void {
  const { method } = client.head;
  if (method !== "GET" && method !== "HEAD") {
    const fields = `${FIELDS}\nallow\nGET, HEAD`;
    const body = "Method Not Allowed\n";
    client.reply({ status: 405, statusText: "", fields, body, lengthBytes: null });
    return;
  }
  const { status, body } = answer;
  client.reply({ status, statusText: "", fields: FIELDS, body, lengthBytes: null });
}
