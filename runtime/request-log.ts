import { randomBytes } from "node:crypto";
import type { ExchangeId } from "./channel/messages.ts";
import type { Config } from "./config.ts";
import { findField } from "./front/find-field.ts";
import type { HeadSetting } from "./front/head-limits.ts";
import type { RefusedHead } from "./front/refuse-head.ts";
import type { TransferSetting } from "./front/transfer-limits.ts";
import type { UwsClientSide } from "./front/uws-client-side.ts";
import type { Logger } from "./log.ts";
import { type AccessFacts, type AccessRules, toAccessEntry } from "./log/access-entry.ts";
import type { AccessLog } from "./log/access-log.ts";
import { Counters } from "./observe/counters.ts";
import { RefusedConnections } from "./observe/refused-connections.ts";
import { type RecentRequest, RecentRequests } from "./reload/recent-requests.ts";
import { ServedCounts } from "./reload/served-counts.ts";

export interface RequestLogOptions {
  log: Logger;
  /** Opens the access log, where the config wants one: in the log (`true`), or in a file of its own. */
  createAccessLog: (target: true | string) => AccessLog;
}

/** What is noted of requests: counts, lines in both logs, and those to try new workers with. Changes nothing for them. */
export class RequestLog {
  readonly counters: Counters = new Counters();
  readonly served: ServedCounts = new ServedCounts();
  /** Goes before an exchange's id, in base 36, to make its request id: two primaries never make the same. */
  readonly requestIdPrefix: string = `${randomBytes(5).toString("hex")}-`;
  readonly #log: Logger;
  readonly #refusedConnections: RefusedConnections;
  readonly #createAccessLog: RequestLogOptions["createAccessLog"];
  #accessLog: AccessLog | null = null;
  /** Where that is. */
  #accessLogTarget: Config["accessLog"] = false;
  #accessRules: AccessRules = { withQuery: false, withClient: false };
  /** `null`: nothing is tried with them. */
  #recent: RecentRequests | null = null;

  constructor({ log, createAccessLog }: RequestLogOptions) {
    this.#log = log;
    this.#refusedConnections = new RefusedConnections(log);
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
    this.#accessRules = {
      withQuery: accessLogQuery,
      withClient: accessLogFields === "combined",
    };
    if (reloadProbe === 0) this.#recent = null;
    else if (this.#recent?.most !== reloadProbe) this.#recent = new RecentRequests(reloadProbe);
  }

  /** A response is complete, its client left (status 499), or it was broken off (502). */
  finished(client: UwsClientSide, status: number, bytes: number): void {
    this.counters.finished(status);
    if (status >= 500) this.served.failed(client.id);
    if (this.#recent !== null) this.#recent.note(client, status, performance.now());
    if (this.#accessLog === null) return;
    const { id, receivedMs, workerId: worker, limit, head } = client;
    const { method, target, origin, fields, clientAddress } = head;
    const { withClient } = this.#accessRules;
    const hostAt = origin.indexOf("/") + 2;
    this.#logAccess({
      clientAddress,
      scheme: hostAt === HTTPS_LENGTH ? "https" : "http",
      host: origin.slice(hostAt),
      method,
      target,
      status,
      bytes,
      // Not the turn's clock: what is answered within its turn takes time too.
      durationMs: performance.now() - receivedMs,
      worker,
      limit,
      requestId: this.#requestIdOf(id),
      referer: withClient ? findField(fields, "referer") : undefined,
      userAgent: withClient ? findField(fields, "user-agent") : undefined,
    });
  }

  /** A client was cut off for being slow. */
  cut(client: UwsClientSide, cut: { setting: TransferSetting; value: number }): void {
    this.counters.limit(cut.setting, client);
    const { method, target, clientAddress } = client.head;
    const [path] = target.split("?", 1);
    const requestId = this.#requestIdOf(client.id);
    this.#log.info({ requestId, method, path, clientAddress, ...cut }, "slow client cut off");
  }

  /** A connection was closed as it came. */
  connectionRefused(maxConnections: number): void {
    this.#refusedConnections.note(maxConnections);
  }

  /** A request was refused for what this setting says; its listener has counted it. */
  limited(client: UwsClientSide, setting: HeadSetting | "maxRequestsPerAddress"): void {
    this.#log.debug({ requestId: this.#requestIdOf(client.id), setting }, "request refused");
  }

  /** A head was refused: no other note is made of it. */
  headRefused(refused: RefusedHead): void {
    const { clientAddress, scheme, method, target, status, reason, bodyBytes: bytes } = refused;
    const requestId = this.#requestIdOf(refused.id);
    this.counters.finished(status);
    this.#log.debug({ requestId, status, reason }, "request refused");
    this.#logAccess({
      clientAddress,
      scheme,
      host: null,
      method,
      target,
      status,
      bytes,
      requestId,
      durationMs: performance.now() - refused.receivedMs,
      worker: null,
      limit: "malformed",
      // Its fields were not understood.
      referer: undefined,
      userAgent: undefined,
    });
  }

  #logAccess(facts: AccessFacts): void {
    this.#accessLog?.line(toAccessEntry(facts, this.#accessRules));
  }

  #requestIdOf(id: ExchangeId): string {
    return this.requestIdPrefix + id.toString(36);
  }
}

/** Of `https://`. */
const HTTPS_LENGTH = 8;
