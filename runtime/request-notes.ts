import { randomBytes } from "node:crypto";
import type { ExchangeId, WorkerId } from "./channel/messages.ts";
import type { Config } from "./config.ts";
import { findField } from "./front/find-field.ts";
import type { HeadSetting } from "./front/head-limits.ts";
import type { RefusedHead } from "./front/listener.ts";
import type { TransferSetting } from "./front/transfer-limits.ts";
import type { UwsClientSide } from "./front/uws-client-side.ts";
import type { Logger } from "./log.ts";
import type { AccessLog } from "./log/access-log.ts";
import { Counters } from "./observe/counters.ts";
import { type RecentRequest, RecentRequests } from "./reload/recent-requests.ts";
import { ServedCounts } from "./reload/served-counts.ts";

export interface RequestNotesOptions {
  log: Logger;
  /** Opens the access log, where the config wants one: in the log (`true`), or in a file of its own. */
  createAccessLog: (target: true | string) => AccessLog;
}

/** What is noted of requests: counts, lines in both logs, and those to try new workers with. Changes nothing for them. */
export class RequestNotes {
  readonly counters: Counters = new Counters();
  readonly served: ServedCounts = new ServedCounts();
  /** Goes before an exchange's id, in base 36, to make its request id: two primaries never make the same. */
  readonly requestIdPrefix: string = `${randomBytes(5).toString("hex")}-`;
  readonly #log: Logger;
  readonly #createAccessLog: RequestNotesOptions["createAccessLog"];
  #accessLog: AccessLog | null = null;
  /** Where that is. */
  #accessLogTarget: Config["accessLog"] = false;
  #withQuery = false;
  #withClient = false;
  /** `null`: nothing is tried with them. */
  #recent: RecentRequests | null = null;

  constructor({ log, createAccessLog }: RequestNotesOptions) {
    this.#log = log;
    this.#createAccessLog = createAccessLog;
  }

  /** The last safe requests, the most recent last. */
  get recent(): readonly RecentRequest[] {
    return this.#recent?.all ?? [];
  }

  /** Opens or closes what the config asks for. */
  useSettings({ accessLog, accessLogFields, accessLogQuery, reloadProbe }: Config): void {
    if (accessLog !== this.#accessLogTarget) {
      this.#accessLog?.close();
      this.#accessLog = accessLog === false ? null : this.#createAccessLog(accessLog);
      this.#accessLogTarget = accessLog;
    }
    this.#withQuery = accessLogQuery;
    this.#withClient = accessLogFields === "combined";
    if (reloadProbe === 0) this.#recent = null;
    else if (this.#recent?.most !== reloadProbe) this.#recent = new RecentRequests(reloadProbe);
  }

  /** A response is complete, or the client left (status 499). */
  finished(client: UwsClientSide, status: number, bytes: number): void {
    this.counters.finished(status);
    if (status >= 500) this.served.failed(client.id);
    if (this.#recent !== null) this.#recent.note(client, status, performance.now());
    if (this.#accessLog === null) return;
    const { id, receivedMs, workerId, head } = client;
    const { method, target, origin, clientAddress, fields } = head;
    // Two schemes there are, and their lengths differ.
    const hostAt = origin.indexOf("/") + 2;
    const scheme = hostAt === HTTPS_LENGTH ? "https" : "http";
    const host = origin.slice(hostAt);
    const request = {
      id,
      receivedMs,
      workerId,
      method,
      target,
      scheme,
      host,
      clientAddress,
    } as const;
    this.#logAccess(request, { status, bytes, fields });
  }

  /** A client was cut off for being slow. */
  cut(client: UwsClientSide, cut: { setting: TransferSetting; value: number }): void {
    this.counters.limits[cut.setting]++;
    this.#log.info({ requestId: this.#requestIdOf(client), ...cut }, "slow client cut off");
  }

  /** A request was refused for what this setting says; its listener has counted it. */
  limited(client: UwsClientSide, setting: HeadSetting | "maxRequestsPerAddress"): void {
    this.#log.debug({ requestId: this.#requestIdOf(client), setting }, "request refused");
  }

  /** A head was refused: no other note is made of it. */
  headRefused(refused: RefusedHead): void {
    const { id, status, reason, bodyBytes } = refused;
    this.counters.finished(status);
    this.#log.debug({ requestId: this.#requestIdOf({ id }), status, reason }, "request refused");
    const request = { ...refused, host: null, workerId: null };
    this.#logAccess(request, { status, bytes: bodyBytes, fields: "" });
  }

  #logAccess(
    request: {
      id: ExchangeId;
      receivedMs: number;
      workerId: WorkerId | null;
      method: string;
      target: string;
      scheme: "http" | "https";
      host: string | null;
      clientAddress: string;
    },
    answer: { status: number; bytes: number; fields: string },
  ): void {
    if (this.#accessLog === null) return;
    const { target } = request;
    const { fields } = answer;
    const queryAt = target.indexOf("?");
    this.#accessLog.line({
      clientAddress: request.clientAddress,
      scheme: request.scheme,
      host: request.host,
      method: request.method,
      path: queryAt === -1 ? target : target.slice(0, queryAt),
      query: this.#withQuery ? (queryAt === -1 ? null : target.slice(queryAt + 1)) : undefined,
      status: answer.status,
      bytes: answer.bytes,
      // Not the turn's clock: what is answered within its turn takes time too.
      durationMs: performance.now() - request.receivedMs,
      worker: request.workerId,
      requestId: this.#requestIdOf(request),
      referer: this.#withClient ? this.#refererOf(fields) : undefined,
      userAgent: this.#withClient ? textOf(findField(fields, "user-agent")) : undefined,
    });
  }

  /** It may be an address of this very site, with the same secrets in its query. */
  #refererOf(fields: string): string | null {
    const referer = findField(fields, "referer");
    const queryAt = this.#withQuery || referer === undefined ? -1 : referer.indexOf("?");
    return textOf(queryAt === -1 ? referer : referer?.slice(0, queryAt));
  }

  #requestIdOf({ id }: { id: ExchangeId }): string {
    return this.requestIdPrefix + id.toString(36);
  }
}

/** Of `https://`. */
const HTTPS_LENGTH = 8;

const NOT_ASCII = /[^\0-\x7f]/;

/** A field's value has a character for each byte: what it says, where it is UTF-8. */
function textOf(value: string | undefined): string | null {
  if (value === undefined) return null;
  return NOT_ASCII.test(value) ? Buffer.from(value, "latin1").toString("utf8") : value;
}
