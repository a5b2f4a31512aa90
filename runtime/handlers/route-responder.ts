import type {
  QueueReport,
  RouteLimits,
  RouteNumber,
  ScheduledReport,
} from "../channel/messages.ts";
import type { RequestIntake } from "../bodies/request-intake.ts";
import type { ExchangeOptions } from "../dispatch/exchange.ts";
import type { Lane } from "../dispatch/lane.ts";
import type { RouteRules, RuleBook } from "../dispatch/route-rules.ts";
import type { Client } from "../http/client.ts";
import type { FoundFile } from "../http/file-sender.ts";
import type { Inquiry } from "../http/inquiry.ts";
import { lead, type Responder } from "../http/responder.ts";
import type { StandInSlot } from "../http/stand-in.ts";
import type { ParsedTarget } from "../http/target-path.ts";
import type { Rate } from "../lib/rate.ts";
import type { RateLimiter } from "../limits/rate-limiter.ts";
import type { CachePolicy } from "../lib/cache-policy.ts";
import { isAllowedOrigin } from "../sockets/origin.ts";
import type { HandlerPool, SharedParts } from "./handler-pool.ts";

export interface RouteResponderOptions extends Pick<
  SharedParts,
  "admission" | "intakes" | "sockets"
> {
  pool: HandlerPool;
  /** The route's number in the pool. */
  route: RouteNumber;
  /** Counts the requests of the route (`observe/request-meters.ts`). */
  series: number;
  /** The rules of the pool's routes under the config of the serving generation. */
  rules: RuleBook;
  /** Has the stand-in of the site. */
  slot: StandInSlot;
  /** Called for each request to the route. */
  onRequest: () => void;
  /** Creates the limiter of the route for a rate. */
  createLimiter: (rate: Rate) => RateLimiter;
  /** Puts the response cache in front of a responder. */
  cacheAround: (inner: Responder, policy: CachePolicy) => Responder;
}

/** Rules that replace those of the route for an internal request of a reload. */
export interface InternalRules {
  /** Longest time from dispatch to answer. */
  timeoutMs: number;
  /** The worker for the request; `null`: the request waits for any worker, ahead of all others. */
  lane: Lane | null;
}

/** The facts about a call that its caller decides. */
export interface CallRules {
  /** The time that the caller has left, in ms; 0: any time. */
  timeoutMs: number;
  /** Number of calls within one another, this one included: 1 upwards. */
  depth: number;
}

/** Answers requests for one route or fallback of the serving generation, with the handlers of its pool. */
export class RouteResponder implements Responder {
  readonly pool: HandlerPool;
  readonly #options: RouteResponderOptions;
  /** The limiters of the rules that have a rate; `null` for most routes. */
  readonly #limiters: ReadonlyMap<Rate, RateLimiter> | null;
  /** The cache in front of this route, by policy; `null`: no request has needed it so far. */
  #cached: Map<CachePolicy, Responder> | null = null;

  constructor(options: RouteResponderOptions) {
    const { pool, route, rules, createLimiter } = options;
    this.pool = pool;
    this.#options = options;
    const rates = rules.allOf(route).flatMap(({ rateLimit }) => rateLimit ?? []);
    this.#limiters =
      rates.length === 0 ? null : new Map(rates.map((rate) => [rate, createLimiter(rate)]));
  }

  /** Returns the rules for requests of this method. */
  rulesOf(method: string): RouteRules {
    const { rules, route } = this.#options;
    return rules.rulesOf(route, method);
  }

  /** The route's number in the pool. */
  get route(): RouteNumber {
    return this.#options.route;
  }

  /** The limits in the handler's own `config`, for methods without others; `null`: its workers have reported none. */
  get limits(): RouteLimits | null {
    return this.pool.reports[this.#options.route]?.limits ?? null;
  }

  /** The methods that the route answers; `null`: any. */
  get methods(): readonly string[] | null {
    return this.pool.reports[this.#options.route]?.methods ?? null;
  }

  /** The handlers of the route that run at times. */
  get scheduled(): readonly ScheduledReport[] {
    return this.pool.reports[this.#options.route]?.scheduled ?? [];
  }

  /** The handlers of the route that receive messages of queues. */
  get queues(): readonly QueueReport[] {
    return this.pool.reports[this.#options.route]?.queues ?? [];
  }

  /** Describes the answer: the limits of the route, its cache and its pool. No worker gets the request. */
  explain(client: Client, target: ParsedTarget, inquiry: Inquiry): void {
    const rules = this.#rulesFor(client, target);
    const report = this.pool.reports[this.#options.route];
    const limits = report?.methodLimits[client.head.method] ?? report?.limits ?? null;
    inquiry.tell({ kind: "handler-limits", limits });
    if (this.#limiters !== null && !this.#admits(client, rules)) return;
    if (rules.cache === "off") this.#explainPool(client, inquiry, this.#standInsFor(target));
    else lead(this.#cachedBy(rules.cache), client, target);
  }

  #explainPool(client: Client, inquiry: Inquiry, standIns: readonly string[]): void {
    const { admission } = this.#options;
    const { workers, plan } = this.pool;
    const isReserved = this.rulesOf(client.head.method).reserved;
    const ready = workers.filter(({ state }) => state === "ready").length;
    inquiry.tell({ kind: "pool", pool: plan.name, ready, workers: workers.length });
    if (standIns.length > 0 && plan.app === null) {
      const names = standIns.join(", then ");
      inquiry.note(
        `if the handler fails after passThroughOnException(), the answer comes from ${names}`,
      );
    }
    if (admission.admits(client, { isReserved })) inquiry.conclude();
  }

  #standInsFor(target: ParsedTarget): readonly string[] {
    return this.#options.slot.standIn?.namesFor(target) ?? [];
  }

  answer(client: Client, target: ParsedTarget): void {
    const { onRequest, series } = this.#options;
    client.series = series;
    const rules = this.#rulesFor(client, target);
    if (rules.transfer !== null) client.limitTransfers(rules.transfer);
    onRequest();
    if (this.#limiters !== null && !this.#admits(client, rules)) return;
    if ((client.webSocket ?? null) !== null && !this.#admitsSocket(client, rules)) return;
    if (rules.cache === "off") this.#run(client, target, rules);
    else this.#cachedBy(rules.cache).answer(client, target);
  }

  /** Tells whether a request for a WebSocket may reach the handler. If not, answers it. */
  #admitsSocket(client: Client, { webSocketOrigins: allowed }: RouteRules): boolean {
    const { fields, origin: ownOrigin } = client.head;
    if (isAllowedOrigin(fields, { ownOrigin, allowed }))
      return this.#options.sockets.admits(client);
    client.refuse(403);
    return false;
  }

  /** Gives a request to the handlers. */
  #run(client: Client, target: ParsedTarget, rules: RouteRules): void {
    const { admission, intakes } = this.#options;
    if (!admission.admits(client, { isReserved: rules.reserved })) return;
    const intake = client.head.bodyBytes === 0 ? null : intakes.open(rules);
    this.pool.dispatcher.admit(client, this.#exchangeOf(client, target, rules, intake));
  }

  #rulesFor(client: Client, { settings }: ParsedTarget): RouteRules {
    const own = this.rulesOf(client.head.method);
    return settings === undefined ? own : this.#options.rules.withSettings(own, settings);
  }

  #cachedBy(policy: CachePolicy): Responder {
    this.#cached ??= new Map();
    let cached = this.#cached.get(policy);
    if (cached === undefined) {
      const inner: Responder = {
        answer: (client, target) => this.#run(client, target, this.#rulesFor(client, target)),
        explain: (client, target, inquiry) =>
          this.#explainPool(client, inquiry, this.#standInsFor(target)),
      };
      cached = this.#options.cacheAround(inner, policy);
      this.#cached.set(policy, cached);
    }
    return cached;
  }

  /** Lets middleware guard a file that the request found. A body of the request is not read. */
  answerFound(client: Client, target: ParsedTarget, found: FoundFile): void {
    const { admission, onRequest, series } = this.#options;
    client.series = series;
    const rules = this.rulesOf(client.head.method);
    if (client.inquiry !== undefined) {
      client.inquiry.note("middleware gets the file, and may answer with something else");
      // If the middleware fails, the file that it guards answers, and no other part.
      this.#explainPool(client, client.inquiry, ["files"]);
      return;
    }
    onRequest();
    if (!admission.admits(client, { isReserved: rules.reserved })) return;
    this.pool.dispatcher.admit(client, { ...this.#exchangeOf(client, target, rules, null), found });
  }

  /** Answers a request without a body that a reload makes. It goes before all others, and `maxRequests` does not count. */
  answerInternal(client: Client, target: ParsedTarget, { timeoutMs, lane }: InternalRules): void {
    const { dispatcher } = this.pool;
    const own = { requestTimeoutMs: timeoutMs, reserved: true };
    const rules = { ...this.rulesOf(client.head.method), ...own };
    // The reload must learn of a failure.
    const exchange = { ...this.#exchangeOf(client, target, rules, null), standIn: null };
    if (lane === null) dispatcher.admit(client, exchange);
    else dispatcher.admitTo(lane, client, exchange);
  }

  /**
   * Gives a run of `scheduled()` to the handlers. It goes before all requests, and the limit of the handler for its time
   * holds. Rate limits, the cache and `maxRequests` do not count.
   */
  answerScheduled(client: Client, url: string): void {
    const { requestTimeoutMs: timeoutMs, timeoutSetting, buffering } = this.rulesOf("GET");
    const { route, series } = this.#options;
    client.series = series;
    const own = { route, params: null, url, timeoutMs, timeoutSetting, buffering };
    this.pool.dispatcher.admit(client, { ...own, reserved: true, intake: null });
  }

  /**
   * Gives a call of another handler to the handlers of the route. The time that the caller has left holds, or that of the route
   * if it is shorter. Rate limits, the cache and `maxRequests` do not count: the request of the caller has passed them.
   */
  answerCall(client: Client, target: ParsedTarget, { timeoutMs: leftMs, depth }: CallRules): void {
    const { intakes, series } = this.#options;
    client.series = series;
    const rules = this.rulesOf(client.head.method);
    const intake = client.head.bodyBytes === 0 ? null : intakes.open(rules);
    const exchange = this.#exchangeOf(client, target, rules, intake);
    const timeoutMs = pickShorterMs(exchange.timeoutMs, leftMs);
    // An application calls no handlers, so its places come free. Its workers have threads, which a call beyond them waits for.
    const own = this.pool.plan.app === null ? { reserved: true, callDepth: depth } : {};
    const call = { ...exchange, timeoutMs, standIn: null };
    this.pool.dispatcher.admit(client, { ...call, ...own });
  }

  /** Gives a batch of messages to the handlers, as `answerScheduled` does. The body of the client travels with the request. */
  answerQueue(client: Client, url: string): void {
    const { requestTimeoutMs: timeoutMs, timeoutSetting, buffering } = this.rulesOf("GET");
    const { route, series, intakes } = this.#options;
    client.series = series;
    const { bodyBytes } = client.head;
    const whole = {
      ...buffering,
      bodyBufferBytes: bodyBytes ?? 0,
      bodyOverflow: "stream",
    } as const;
    const intake = intakes.open({ bodyLimitBytes: bodyBytes ?? 0, buffering: whole });
    const own = { route, params: null, url, timeoutMs, timeoutSetting, buffering: whole };
    this.pool.dispatcher.admit(client, { ...own, reserved: true, intake });
  }

  #admits(client: Client, { rateLimit }: RouteRules): boolean {
    const limiter = rateLimit === null ? undefined : this.#limiters?.get(rateLimit);
    return limiter === undefined || limiter.admits(client);
  }

  #exchangeOf(
    client: Client,
    target: ParsedTarget,
    rules: RouteRules,
    intake: RequestIntake | null,
  ): ExchangeOptions {
    const { requestTimeoutMs: timeoutMs, timeoutSetting, buffering, reserved } = rules;
    const standIn = target.standsAlone === true ? null : this.#options.slot.standIn;
    const url = client.head.origin + target.pathname + target.search;
    const { params } = target;
    const { route } = this.#options;
    return {
      route,
      params,
      url,
      timeoutMs,
      timeoutSetting,
      buffering,
      reserved,
      intake,
      standIn,
      target,
    };
  }
}

/** Returns the shorter of two times in ms; 0: any time. */
function pickShorterMs(one: number, other: number): number {
  if (one === 0 || other === 0) return Math.max(one, other);
  return Math.min(one, other);
}
