import type { Client, RequestHead } from "../../http/client.ts";
import { editFields } from "../../http/edit-fields.ts";
import { InterposedClient } from "../../http/interposed-client.ts";
import { isSource, type Reply, toRefusal } from "../../http/reply.ts";
import type { Responder } from "../../http/responder.ts";
import { parseTarget, type ParsedTarget } from "../../http/target-path.ts";
import type { Kind, RuleContext } from "../kind.ts";

/**
 * Replaces the body of errors by a page of the site: a file, or the answer of a handler. For one status, the last rule
 * wins, and a status wins over its class (`5xx`). The status stays, as do fields that concern it.
 */
export const showErrorPages: Kind = {
  actions: ["errorPages"],
  phase: "answer",
  compose(rules, { context, serveRest }) {
    const pages = new Map(rules.flatMap(({ errorPages }) => Object.entries(errorPages ?? {})));
    if (pages.size === 0) return null;
    const pageOf = (status: number): string | null =>
      status < 400
        ? null
        : (pages.get(`${status}`) ?? pages.get(`${Math.floor(status / 100)}xx`) ?? null);
    const answer: Responder["answer"] = (client, target) => {
      const { id, head } = client;
      const onReply = (reply: Reply): void => {
        const page = pageOf(reply.status);
        if (page === null) client.reply(reply);
        else showPage(client, { reply, page, context });
      };
      serveRest(new InterposedClient(client, { id, head, onReply }), target);
    };
    return () => ({ answer, explain: answer });
  },
};

/** Answers a client with a page, or without it if the page is not there. */
function showPage(
  client: Client,
  { reply, page, context }: { reply: Reply; page: string; context: RuleContext },
): void {
  if (isSource(reply.body)) reply.body.cancel();
  const { status, statusText } = reply;
  const fields = editFields(reply.fields, KEPT_OF_ERROR);
  client.inquiry?.note(`the page ${page} replaces the body of the error`);
  const target = parseTarget(page);
  const plain = { ...toRefusal(status), statusText };
  const withoutPage = { ...plain, fields: `${plain.fields}${fields === "" ? "" : "\n"}${fields}` };
  // Later: the exchange that replied with the error has not ended yet.
  setImmediate(() => {
    if (client.settled) return;
    if (!target.ok || client.inquiry !== undefined) {
      client.reply(withoutPage);
      return;
    }
    servePage(client, target, { context, onPage: toReply });
  });

  function toReply(answer: Reply): void {
    if (answer.status !== 200) {
      if (isSource(answer.body)) answer.body.cancel();
      client.reply(withoutPage);
      return;
    }
    // The error's own fields win.
    const named = fields.split("\n").filter((name, at) => at % 2 === 0 && name !== "vary");
    const dropped = new Set([...PAGE_VALIDATORS, ...named]);
    const own = editFields(answer.fields, { dropped, added: "", defaults: [] });
    const joined = [own, fields].filter((block) => block !== "").join("\n");
    client.reply({ ...answer, status, statusText, fields: joined });
  }
}

function servePage(
  client: Client,
  target: ParsedTarget,
  { context, onPage }: { context: RuleContext; onPage: (reply: Reply) => void },
): void {
  const head: RequestHead = {
    ...client.head,
    method: client.head.method === "HEAD" ? "HEAD" : "GET",
    target: target.pathname + target.search,
    fields: editFields(client.head.fields, KEPT_OF_REQUEST),
    bodyBytes: 0,
  };
  // A handler's page is an exchange of its own: its worker may still have the other one.
  const id = context.nextId();
  context.serveRest(new InterposedClient(client, { id, head, onReply: onPage }), target);
}

/** The error keeps the fields that explain it, and loses those that describe its body. */
const KEPT_OF_ERROR = {
  dropped: new Set([
    "accept-ranges",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "etag",
    "last-modified",
  ]),
  added: "",
  defaults: [["cache-control", "no-store"]],
} as const;

/** They are for requests of the page itself. */
const PAGE_VALIDATORS = [
  "accept-ranges",
  "cache-control",
  "content-location",
  "etag",
  "expires",
  "last-modified",
];

/** The page is whole, and there is no body. */
const KEPT_OF_REQUEST = {
  dropped: new Set([
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "range",
    "transfer-encoding",
  ]),
  added: "",
  defaults: [],
} as const;
