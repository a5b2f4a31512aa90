import type { Client } from "../http/client.ts";
import { findField } from "../http/find-field.ts";
import type { Responder } from "../http/responder.ts";
import type { ParsedTarget } from "../http/target-path.ts";
import { RefusalLog } from "../observe/refusal-log.ts";
import { toNetwork } from "../lib/to-network.ts";
import { USER_FIELD } from "../http/user-field.ts";
import { withoutNames } from "./check-fields.ts";
import type { UserList, UserVerdict } from "./user-list.ts";
import { waitFor, type WaitingContext } from "./waiting.ts";

export interface BasicAuthOptions extends WaitingContext {
  /** Shown by browsers. Without quotes, backslashes and control characters. */
  realm: string;
  /** Returns the present users. */
  users: () => UserList;
}

const USER_FIELDS: ReadonlySet<string> = new Set([USER_FIELD]);

/** `Retry-After` of a request that was refused because too many passwords are being checked. */
const RETRY_AFTER_SECONDS = 1;

/**
 * Admits requests with the name and password of a user (RFC 7617). Answers all others with 401.
 *
 * It sets `x-edgicorn-user`, which no client can send. A credential that was checked before costs an HMAC. Any other
 * waits for another thread.
 */
export class BasicAuth {
  readonly #options: BasicAuthOptions;
  readonly #challenge: string;
  readonly #refusals: RefusalLog;

  constructor(options: BasicAuthOptions) {
    this.#options = options;
    this.#refusals = new RefusalLog(options.log, {
      setting: "basicAuth",
      message: "basic auth: requests refused, because too many passwords wait to be checked",
    });
    this.#challenge = `www-authenticate\nBasic realm="${options.realm}", charset="UTF-8"`;
  }

  /**
   * Checks the credentials of a request.
   *
   * @param serveRest Serves an admitted request that had to wait.
   * @returns `next`: it is admitted. `done`: it was refused. A responder that waits.
   */
  check(
    client: Client,
    serveRest: (client: Client, target: ParsedTarget) => void,
  ): "next" | "done" | Responder {
    const authorization = findField(client.head.fields, "authorization");
    if (authorization === undefined) return this.#challengeClient(client);
    const network = toNetwork(client.head.clientAddress);
    const verdict = this.#options.users().check(authorization, network);
    if (!("then" in verdict)) return this.#apply(verdict, client) ? "next" : "done";
    const answer: Responder["answer"] = (_, target) =>
      waitFor(client, this.#options, async () => {
        const late = await verdict;
        return () => {
          if (this.#apply(late, client)) serveRest(client, target);
        };
      });
    // The check of a password changes nothing: it is carried out for an explanation, too.
    return { answer, explain: answer };
  }

  /** Admits a request, or answers it. Returns whether it is admitted. */
  #apply(verdict: UserVerdict, client: Client): boolean {
    switch (verdict.kind) {
      case "user": {
        const name = Buffer.from(verdict.user, "utf8").toString("latin1");
        // The gates of a rewritten path may have another file of users.
        const rest = withoutNames(client.head.fields, USER_FIELDS);
        client.head.fields = `${USER_FIELD}\n${name}\n${rest}`;
        client.head.hasKnownUser = true;
        return true;
      }
      case "wrong":
        this.#challengeClient(client);
        return false;
      case "busy":
        this.#refusals.note("all clients");
        client.refuse(503, { retryAfterSeconds: RETRY_AFTER_SECONDS });
        return false;
      case "client-busy":
        this.#refusals.note("one client");
        client.refuse(429, { retryAfterSeconds: RETRY_AFTER_SECONDS });
        return false;
    }
  }

  #challengeClient(client: Client): "done" {
    client.reply({
      status: 401,
      statusText: "",
      fields: `content-type\ntext/plain;charset=UTF-8\n${this.#challenge}`,
      body: "Unauthorized\n",
      lengthBytes: null,
    });
    return "done";
  }
}
