import type { Client, RequestHead } from "../http/client.ts";
import { type Field, formatBlock, parseBlock } from "../http/field-block.ts";
import { addFilter } from "../http/reply.ts";
import type { Responder } from "../http/responder.ts";
import type { ParsedTarget } from "../http/target-path.ts";
import { RefusalLog } from "../observe/refusal-log.ts";
import type { CheckAnswer } from "./check-client.ts";
import { toCheckFields, toCheckTarget, withoutNames } from "./check-fields.ts";
import { waitFor, type WaitingContext } from "./waiting.ts";

/** Most requests that wait for the service. All others are refused with 503. */
const MOST_WAITING = 512;

/** `Retry-After` of a request that was refused because too many wait. */
const RETRY_AFTER_SECONDS = 1;

/** Fields of an answer that concern its connection or framing. */
const HOP_BY_HOP =
  /^(?:connection|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade|content-length|date)$/;

/** Asks whether a request may pass. Rejects when there is no answer. */
export type AskCheck = (
  head: RequestHead,
  fields: readonly Field[],
  signal: AbortSignal,
) => Promise<CheckAnswer>;

export interface ForwardAuthOptions extends WaitingContext {
  /** The URL or path of the service, for the log. */
  name: string;
  ask: AskCheck;
  /** Fields of a positive answer that the request gets. In lower case, with `-`. */
  copy: readonly string[];
  /** Fields of a positive answer that the reply to the client gets. In lower case. */
  copyToReply: readonly string[];
  /** Fields of the request that the service gets, in lower case; `null`: all but those of `copy`. */
  requestFields: readonly string[] | null;
  timeoutMs: number;
}

/**
 * Asks a service whether a request may pass, as `auth_request` of Nginx and `forwardAuth` of Traefik do.
 *
 * - 2xx: the request passes, with the fields of `copy` from the answer.
 * - 401, 403 and redirects: the client gets that answer.
 * - 503: 503 with `Retry-After`.
 * - Anything else, no answer, or too late: 502.
 *
 * Before all this it deletes the fields of `copy` from the request, for every answer: no client can forge them.
 */
export class ForwardAuth {
  readonly #options: ForwardAuthOptions;
  readonly #copied: ReadonlySet<string>;
  readonly #copiedToReply: ReadonlySet<string>;
  readonly #requestFields: ReadonlySet<string> | null;
  readonly #failures: RefusalLog;
  readonly #refusals: RefusalLog;
  #waiting = 0;

  constructor(options: ForwardAuthOptions) {
    const { copy, copyToReply, requestFields, log, name } = options;
    this.#options = options;
    this.#copied = new Set(copy);
    this.#copiedToReply = new Set(copyToReply);
    this.#requestFields = requestFields === null ? null : new Set(requestFields);
    const child = log.child({ service: name });
    this.#failures = new RefusalLog(child, {
      setting: "forwardAuth",
      message: "forward auth: requests refused, because the service did not decide",
    });
    this.#refusals = new RefusalLog(child, {
      setting: "forwardAuth",
      message: "forward auth: requests refused, because too many wait for the service",
    });
  }

  /** Returns the responder that asks for this request. `serveRest` serves it if it passes. */
  check(
    client: Client,
    serveRest: (client: Client, target: ParsedTarget) => void,
  ): "done" | Responder {
    const { fields: sent } = client.head;
    client.head.fields = withoutNames(sent, this.#copied);
    // The service may set a field that it gets by name, such as `authorization`.
    const asked = this.#requestFields === null ? client.head.fields : sent;
    if (client.inquiry !== undefined) {
      const { name } = this.#options;
      client.inquiry.note(`${name} would be asked: explained as if it lets the request pass`);
      client.head.hasKnownUser = true;
      return { answer: (_, target) => serveRest(client, target), explain: serveRest };
    }
    if (this.#waiting >= MOST_WAITING) {
      this.#refusals.note(MOST_WAITING);
      client.refuse(503, { retryAfterSeconds: RETRY_AFTER_SECONDS });
      return "done";
    }
    return {
      answer: (_, target) =>
        waitFor(client, this.#options, async (signal) => {
          const head = { ...client.head, fields: asked, target: toCheckTarget(target) };
          const verdict = await this.#ask(head, signal);
          return () => {
            if (verdict.kind === "pass") {
              addFields(client.head, verdict.fields);
              client.head.hasKnownUser = true;
              addToReply(client, verdict.replyFields);
              serveRest(client, target);
            } else if (verdict.kind === "answer") {
              const { status, fields, body } = verdict.answer;
              const kept = fields.filter(([name]) => !HOP_BY_HOP.test(name));
              client.reply({
                status,
                statusText: "",
                fields: formatBlock(kept),
                body,
                lengthBytes: null,
              });
            } else if (verdict.kind === "overloaded") {
              client.refuse(503, { retryAfterSeconds: RETRY_AFTER_SECONDS });
            } else client.refuse(502);
          };
        }),
    };
  }

  async #ask(head: RequestHead, leaving: AbortSignal): Promise<Verdict> {
    const { ask, timeoutMs } = this.#options;
    const deadline = new AbortController();
    const abort = (): void => deadline.abort();
    leaving.addEventListener("abort", abort, { once: true });
    const timer = setTimeout(abort, timeoutMs);
    this.#waiting++;
    try {
      const fields = toCheckFields(head, { only: this.#requestFields });
      const answer = await ask(head, fields, deadline.signal);
      return this.#decide(answer);
    } catch (error) {
      if (leaving.aborted) return { kind: "failed" };
      const reason = error instanceof Error ? error.message : String(error);
      return this.#fail(deadline.signal.aborted ? `no answer within ${timeoutMs} ms` : reason);
    } finally {
      this.#waiting--;
      clearTimeout(timer);
      leaving.removeEventListener("abort", abort);
    }
  }

  #decide(answer: CheckAnswer): Verdict {
    const { status, fields } = answer;
    if (status >= 200 && status < 300) {
      return {
        kind: "pass",
        fields: fields.filter(([name]) => this.#copied.has(name)),
        replyFields: fields.filter(([name]) => this.#copiedToReply.has(name)),
      };
    }
    const isForClient = status === 401 || status === 403 || (status >= 300 && status < 400);
    if (isForClient && status !== 304) return { kind: "answer", answer };
    const failed = this.#fail(`status ${status}`);
    return status === 503 ? { kind: "overloaded" } : failed;
  }

  #fail(reason: string): Verdict {
    this.#options.log.debug({ service: this.#options.name, reason }, "forward auth failed");
    this.#failures.note(reason);
    return { kind: "failed" };
  }
}

type Verdict =
  | { kind: "pass"; fields: readonly Field[]; replyFields: readonly Field[] }
  | { kind: "answer"; answer: CheckAnswer }
  | { kind: "failed" }
  | { kind: "overloaded" };

function addFields(head: RequestHead, fields: readonly Field[]): void {
  if (fields.length === 0) return;
  head.fields = formatBlock([...fields, ...parseBlock(head.fields)]);
}

function addToReply(client: Client, fields: readonly Field[]): void {
  if (fields.length === 0) return;
  addFilter(client, (reply) => ({
    ...reply,
    fields: formatBlock([...parseBlock(reply.fields), ...fields]),
  }));
}
