import { randomBytes } from "node:crypto";
import type { ExchangeId, WorkerId } from "./channel/messages.ts";
import type { Config } from "./config.ts";
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
  /** Opens the access log, where the config wants one. */
  createAccessLog: () => AccessLog;
}

/** What is noted of requests: counts, lines in both logs, and those to try new workers with. Changes nothing for them. */
export class RequestNotes {
  readonly counters: Counters = new Counters();
  readonly served: ServedCounts = new ServedCounts();
  /** Goes before an exchange's id, in base 36, to make its request id: two primaries never make the same. */
  readonly requestIdPrefix: string = `${randomBytes(5).toString("hex")}-`;
  readonly #log: Logger;
  readonly #createAccessLog: () => AccessLog;
  #accessLog: AccessLog | null = null;
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
  useSettings({ accessLog, reloadProbe }: Config): void {
    if (accessLog) this.#accessLog ??= this.#createAccessLog();
    else {
      this.#accessLog?.close();
      this.#accessLog = null;
    }
    if (reloadProbe === 0) this.#recent = null;
    else if (this.#recent?.most !== reloadProbe) this.#recent = new RecentRequests(reloadProbe);
  }

  /** A response is complete, or the client left (status 499). */
  finished(client: UwsClientSide, status: number, bytes: number): void {
    this.counters.finished(status);
    if (status >= 500) this.served.failed(client.id);
    if (this.#recent !== null) this.#recent.note(client, status, performance.now());
    if (this.#accessLog === null) return;
    const { id, receivedMs, workerId } = client;
    const { method, target } = client.head;
    this.#logAccess({ id, receivedMs, method, target, status, bytes, workerId });
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
  headRefused({ id, receivedMs, method, target, status, reason, bodyBytes }: RefusedHead): void {
    this.counters.finished(status);
    this.#log.debug({ requestId: this.#requestIdOf({ id }), status, reason }, "request refused");
    this.#logAccess({ id, receivedMs, method, target, status, bytes: bodyBytes, workerId: null });
  }

  #logAccess(entry: {
    id: ExchangeId;
    receivedMs: number;
    method: string;
    target: string;
    status: number;
    bytes: number;
    workerId: WorkerId | null;
  }): void {
    const { method, target, status, bytes, workerId } = entry;
    const query = target.indexOf("?");
    this.#accessLog?.line({
      method,
      path: query === -1 ? target : target.slice(0, query),
      status,
      bytes,
      // Not the turn's clock: what is answered within its turn takes time too.
      durationMs: performance.now() - entry.receivedMs,
      worker: workerId,
      requestId: this.#requestIdOf(entry),
    });
  }

  #requestIdOf({ id }: { id: ExchangeId }): string {
    return this.requestIdPrefix + id.toString(36);
  }
}
