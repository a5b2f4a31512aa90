import type { Stage } from "../site.ts";

const PREFIX = "/.well-known/acme-challenge/";

const FIELDS = "content-type\napplication/octet-stream\ncache-control\nno-store";

/**
 * Answers a certificate authority that asks for a live token (RFC 8555 section 8.3). It comes before every other stage, so no
 * redirect and no rule hides it. All other tokens belong to the site.
 *
 * @param tokens Returns the answers of the live tokens.
 */
export function answerChallenge(tokens: () => ReadonlyMap<string, string>): Stage {
  return (client, { pathname }) => {
    if (!pathname.startsWith(PREFIX)) return "next";
    const answer = tokens().get(pathname.slice(PREFIX.length));
    const { method } = client.head;
    if (answer === undefined || (method !== "GET" && method !== "HEAD")) return "next";
    client.reply({ status: 200, statusText: "", fields: FIELDS, body: answer, lengthBytes: null });
    return "done";
  };
}
