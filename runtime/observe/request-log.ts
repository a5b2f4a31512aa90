import { randomBytes } from "node:crypto";
import type { Config } from "../config/config.ts";
import type { HeadSetting } from "../http/head-limits.ts";
import type { TransferSetting } from "../http/transfer-limits.ts";
import type { Client, ExchangeId, RefusedHead } from "../http/client.ts";
import { CHANGES_PATH } from "../lib/html-page.ts";
import { toRequestId } from "../lib/request-id.ts";
import { WallClock } from "../lib/wall-clock.ts";
import type { Logger } from "../log/log.ts";
import { Counters } from "./counters.ts";
import { RefusalLog } from "./refusal-log.ts";
import { type RecentRequest, RecentRequests } from "./recent-requests.ts";
import { type CreateAccessLog, SiteAccessLogs } from "./site-access.ts";
import { REFUSED_SERIES } from "./request-meters.ts";
import { ServedCounts } from "./served-counts.ts";

export interface RequestLogOptions {
  log: Logger;
  /** Opens the access log: in the main log (`true`), or in a separate file. */
  createAccessLog: CreateAccessLog;
}

/**
 * Records finished requests: counts them, writes lines to both logs, and keeps recent ones to test new workers with.
 * Does not change the requests.
 */
export class RequestLog {
  readonly counters: Counters = new Counters();
  readonly served: ServedCounts = new ServedCounts();
  /** Prefix of request ids. The exchange's id follows, in base 36. Two primaries never have the same prefix. */
  readonly requestIdPrefix: string = `${randomBytes(5).toString("hex")}-`;
  readonly #log: Logger;
  readonly #refusedConnections: RefusalLog;
  readonly #refusedRequests: RefusalLog;
  readonly #access: SiteAccessLogs;
  readonly #clock = new WallClock();
  /** Target without access lines, which would fill the developer's terminal; `null`: none. */
  #unloggedTarget: string | null = null;
  /** Called for each sampled request of a trace that ended. */
  onTraced: (client: Client, end: { route: string; status: number; bytes: number }) => void =
    () => {};
  /** `null`: reloads do not test new workers with recent requests. */
  #recent: RecentRequests | null = null;

  constructor({ log, createAccessLog }: RequestLogOptions) {
    this.#log = log;
    this.#refusedConnections = new RefusalLog(log, {
      setting: "maxConnections",
      message: "connections refused: too many are open",
    });
    this.#refusedRequests = new RefusalLog(log, {
      setting: "maxRequests",
      message: "overloaded: requests refused",
    });
    this.#access = new SiteAccessLogs(createAccessLog, this.requestIdPrefix);
  }

  /** The last safe requests, the most recent last. */
  get recent(): readonly RecentRequest[] {
    return this.#recent?.all ?? [];
  }

  /** Opens or closes parts as the config requires. */
  useSettings(config: Config): void {
    const { mode, reloadProbe } = config;
    this.#unloggedTarget = mode === "development" ? CHANGES_PATH : null;
    this.#access.useSettings(config);
    if (reloadProbe === 0) this.#recent = null;
    else if (this.#recent?.most !== reloadProbe) this.#recent = new RecentRequests(reloadProbe);
  }

  /**
   * Records a request that ended: its response is complete, its client left (status 499), or it was broken off (502).
   */
  finished(client: Client, status: number, bytes: number): void {
    this.counters.finished(status);
    const { head, cached } = client;
    // The turn's clock would give a duration of 0 for an answer within the same turn.
    const nowMs = performance.now();
    const ms = nowMs - client.receivedMs;
    const { method } = head;
    this.counters.finishedRequests.note(client.series ?? 0, { method, status, ms, bytes, nowMs });
    if (cached !== null && cached !== undefined) this.counters.cached[cached]++;
    if (status >= 500) {
      this.served.failed(client.id);
      this.noteFailure(client, status);
    }
    if (client.trace !== null && client.trace !== undefined) {
      const route = this.counters.finishedRequests.routeOf(client.series ?? 0);
      this.onTraced(client, { route, status, bytes });
    }
    if (this.#recent !== null) this.#recent.note(client, status, nowMs);
    const { write, filter } = this.#access.of(head.origin);
    if (write === null || !client.isLogged || head.target === this.#unloggedTarget) return;
    if (filter !== null && !filter(head.target, status)) return;
    write(client, { status, bytes, nowMs, timeMs: this.#clock.toUnixMs(nowMs) });
  }

  /** Adds a request or a run to the recent failures. */
  noteFailure(client: Client, status: number): void {
    const { id, head, limitedBy, workerId, upstream = null } = client;
    const [path = ""] = head.target.split("?", 1);
    this.counters.failures.note({
      requestId: head.requestId ?? this.#requestIdOf(id),
      series: client.series ?? REFUSED_SERIES,
      method: head.method,
      path,
      status,
      limitedBy,
      upstream: upstream?.name ?? null,
      workerId,
      timeMs: Date.now(),
    });
  }

  /** Records a client that was cut off for being slow. */
  cut(client: Client, cut: { setting: TransferSetting; value: number }): void {
    this.counters.limit(cut.setting, client);
    const { method, target, clientAddress } = client.head;
    const [path] = target.split("?", 1);
    const requestId = client.head.requestId ?? this.#requestIdOf(client.id);
    this.#log.info({ requestId, method, path, clientAddress, ...cut }, "slow client cut off");
  }

  /** Records a connection that was refused. */
  connectionRefused(maxConnections: number): void {
    this.#refusedConnections.note(maxConnections);
  }

  /** Records a request that was refused because too many are admitted. Its responder has already counted it. */
  requestRefused(maxRequests: number): void {
    this.#refusedRequests.note(maxRequests);
  }

  /** Records a request that a setting refused. Its listener has already counted it. */
  limited(client: Client, setting: HeadSetting | "maxRequestsPerAddress"): void {
    const requestId = client.head.requestId ?? this.#requestIdOf(client.id);
    this.#log.debug({ requestId, setting }, "request refused");
  }

  /** Records a head that was refused. No other method is called for it. */
  headRefused(refused: RefusedHead): void {
    const { id, receivedMs, method, target, clientAddress } = refused;
    const { scheme, status, reason, bodyBytes: bytes, protocol = "HTTP/1.1" } = refused;
    this.counters.finished(status);
    const nowMs = performance.now();
    const ms = nowMs - receivedMs;
    this.counters.finishedRequests.note(REFUSED_SERIES, { method, status, ms, bytes, nowMs });
    this.#log.debug({ requestId: this.#requestIdOf(id), status, reason }, "request refused");
    const { write, filter } = this.#access.of(null);
    if (write === null || (filter !== null && !filter(target, status))) return;
    const head = { method, target, protocol, origin: `${scheme}:`, clientAddress, fields: null };
    write(
      { id, head, receivedMs, workerId: null, limitedBy: "malformed" },
      { status, bytes, nowMs, timeMs: this.#clock.toUnixMs(nowMs) },
    );
  }

  #requestIdOf(id: ExchangeId): string {
    return toRequestId(this.requestIdPrefix, id);
  }
}
