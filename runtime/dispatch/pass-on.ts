import { repeatIntake } from "../bodies/repeat-intake.ts";
import { BODY_FOLLOWS } from "../channel/messages.ts";
import type { RequestIntake } from "../bodies/request-intake.ts";
import type { Client } from "../http/client.ts";
import { OwnClient } from "../http/own-client.ts";
import { isSource } from "../http/reply.ts";
import { whenFinished } from "../http/when-finished.ts";
import { BreakableSource } from "./breakable-source.ts";
import type { Exchange } from "./exchange.ts";

/** The result for a request whose handler failed after `passThroughOnException()`. */
export type PassOnResult =
  /** `by`: the part of the site that answers. It begins with `begin`, which the caller calls once the exchange is settled. */
  | { readonly by: string; readonly begin: () => void }
  /** `why`: the handler answers its failure itself, for this reason. */
  | { readonly by: null; readonly why: string };

const STREAMED =
  'its body was streamed to the worker, expected one within bodyBuffer or bodyOverflow "spool"';

/**
 * Finds the part of the site that answers in place of a handler. The exchange is dispatched, and no byte of an answer has left.
 *
 * The request is repeated with its body. The primary has a body that travelled whole or waits on disk, and no other one.
 */
export function passOn(exchange: Exchange): PassOnResult {
  const { client, found, standIn, target, intake, body } = exchange;
  if (found !== null) {
    const { status, fields } = found;
    const begin = (): void => {
      client.onAbort(() => {});
      found.answer(client, { status, statusText: "", fields });
    };
    client.passedOn = true;
    return { by: "files", begin };
  }
  if (standIn === null || target === null) return { by: null, why: "no file or proxy stands in" };
  if (body === BODY_FOLLOWS && intake?.rereadable !== true) return { by: null, why: STREAMED };
  // The access log reads it at the end of the answer, which may come before `answer` returns.
  client.passedOn = true;
  const repeated = body === null ? client : repeat(client, body === BODY_FOLLOWS ? intake : body);
  // Before the answer, which may be complete at once. The upstream may read the body until the end of its own answer.
  if (repeated instanceof OwnClient) whenFinished(client, () => repeated.leave());
  if (intake !== null) whenFinished(client, () => intake.close());
  const answer = standIn.answer(repeated, target);
  if (answer === null) {
    client.passedOn = false;
    return { by: null, why: "neither a file nor a proxy answers its path" };
  }
  const { by, outcome } = answer;
  // The body outlives the exchange, with its share of the memory or its file: the end of the request closes it.
  exchange.intake = null;
  // An answer that has begun is told by the client itself.
  if (repeated instanceof OwnClient && !client.settled) client.onAbort(() => repeated.leave());
  return {
    by,
    begin() {
      if (outcome !== "done") outcome.answer(repeated, target);
    },
  };
}

/** Returns the client of the same request, which has the body again. */
function repeat(client: Client, body: Uint8Array | RequestIntake | null): OwnClient {
  const { id, head } = client;
  let answer: BreakableSource | null = null;
  // The disk has lost the body, and the responder would wait for it.
  const onBroken = (): void => {
    repeated.leave();
    if (answer === null) client.refuse(500);
    else answer.break();
  };
  const repeated = new OwnClient({
    id,
    head,
    isLogged: false,
    ...(body !== null && {
      body: body instanceof Uint8Array ? body : (sink) => repeatIntake(body, sink, onBroken),
    }),
    onReply(reply) {
      client.upstream = repeated.upstream;
      client.limitedBy = repeated.limitedBy;
      client.cached = repeated.cached;
      if (isSource(reply.body) && !(body instanceof Uint8Array)) {
        answer = new BreakableSource(reply.body);
        client.reply({ ...reply, body: answer });
      } else client.reply(reply);
    },
  });
  return repeated;
}
