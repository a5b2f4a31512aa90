import { BasicAuth } from "../auth/basic-auth.ts";
import { CheckClient } from "../auth/check-client.ts";
import { CheckExchange } from "../auth/check-exchange.ts";
import { type AskCheck, ForwardAuth } from "../auth/forward-auth.ts";
import { PasswordChecks } from "../auth/password-checks.ts";
import { UserFiles } from "../auth/user-files.ts";
import { UserList } from "../auth/user-list.ts";
import type { WaitingContext } from "../auth/waiting.ts";
import { WaitingRequests } from "../auth/waiting-requests.ts";
import type { BasicAuthSetting, ForwardAuthSetting } from "../config/gate-settings.ts";
import type { RuleSetting } from "../config/rule-settings.ts";
import type { ExchangeId } from "../http/client.ts";
import { formatBlock } from "../http/field-block.ts";
import type { Responder } from "../http/responder.ts";
import { parseTarget, type ParsedTarget } from "../http/target-path.ts";
import type { Prepared } from "../lib/prepared.ts";
import { ConcurrencyLimiter } from "../limits/concurrency-limiter.ts";
import type { LimitContext } from "../limits/limit-context.ts";
import { KeptStates, type NextStates } from "../lib/kept-states.ts";
import { RateLimiter, type RateLimiterOptions } from "../limits/rate-limiter.ts";

/** The parts of a server that gates need. */
export interface GateParts
  extends LimitContext, Omit<WaitingContext, "waiting">, Pick<RateLimiterOptions, "takings"> {
  nextId: () => ExchangeId;
}

/** The settings of a site that name files. */
export interface GatedSettings {
  rules: readonly RuleSetting[];
  publicDir: string | null;
}

export interface GatedSite {
  /** The name of the site. Its limits count for itself. */
  site: string;
  /** Returns the handler for a target; `null`: there is none. */
  find: (target: ParsedTarget) => Responder | null;
}

interface GateOptions extends GateParts, WaitingContext, GatedSite {
  /** Counts of limits, lists of users and clients of services under the next config. */
  states: NextStates;
  userFiles: UserFiles;
  passwordChecks: PasswordChecks;
}

/**
 * The gates of all sites: the limits and the authentication that a request must pass. Has everything of them that
 * outlives a reload: counts, files of users, checked credentials, and the thread that checks them.
 */
export class Gates {
  readonly #parts: GateParts;
  readonly #states = new KeptStates();
  readonly #passwordChecks = new PasswordChecks();
  readonly #userFiles: UserFiles;
  /** The requests that wait under the present config. */
  #waiting = new WaitingRequests();

  constructor(parts: GateParts) {
    this.#parts = parts;
    this.#userFiles = new UserFiles(parts.log, this.#passwordChecks);
  }

  /**
   * Reads the files that the rules of the next config name.
   *
   * @throws RuntimeError `ERR_CONFIG` with file and line of each problem.
   */
  prepare(sites: readonly GatedSettings[]): Promise<Prepared | null> {
    const paths = sites.flatMap(({ rules }) => listUserFiles(rules));
    const publicDirs = sites.flatMap(({ publicDir }) => publicDir ?? []);
    return this.#userFiles.prepare(paths, { publicDirs });
  }

  /** Begins the next config. Its files are committed already. */
  begin(): NextGates {
    const states = this.#states.begin();
    const waiting = new WaitingRequests();
    const shared = {
      ...this.#parts,
      userFiles: this.#userFiles,
      passwordChecks: this.#passwordChecks,
      waiting,
      states,
    };
    return {
      createFor: (rules, site) => createGates(rules, { ...shared, ...site }),
      commit: () => {
        states.commit();
        this.#waiting = waiting;
      },
    };
  }

  /**
   * Resolves when the requests that wait under the present config have been passed on. They need the workers of that
   * config. After the next commit no further request can be among them.
   */
  untilPassed(): Promise<void> {
    return this.#waiting.idle();
  }

  /** Returns the present state of a limit. */
  findState(name: string): unknown {
    return this.#states.find(name);
  }

  /** Ends the thread, and stops looking at files. */
  async close(): Promise<void> {
    this.#userFiles.close();
    await this.#passwordChecks.close();
  }
}

/** The gates under the next config. */
export interface NextGates {
  /** Creates those of the rules of a site. */
  createFor(rules: readonly RuleSetting[], site: GatedSite): RuleGates;
  /** Drops the states that no rule has any more. */
  commit(): void;
}

/** The gates of each rule. `null`: authentication is off for the requests of the rule. */
export interface RuleGates {
  rateLimiterOf(rule: RuleSetting): RateLimiter | undefined;
  concurrencyLimiterOf(rule: RuleSetting): ConcurrencyLimiter | undefined;
  basicAuthOf(rule: RuleSetting): BasicAuth | null | undefined;
  forwardAuthOf(rule: RuleSetting): ForwardAuth | null | undefined;
}

/** Creates the gates of all rules of a site. All sets of rules share those of a rule. */
function createGates(rules: readonly RuleSetting[], options: GateOptions): RuleGates {
  const ids = toIds(rules, options.site);
  const rates = new Map<RuleSetting, RateLimiter>();
  const concurrencies = new Map<RuleSetting, ConcurrencyLimiter>();
  const basics = new Map<RuleSetting, BasicAuth | null>();
  const forwards = new Map<RuleSetting, ForwardAuth | null>();
  for (const rule of rules) {
    const { key: place, rateLimit, concurrencyLimit, basicAuth, forwardAuth } = rule;
    const own = { ...options, place, id: ids.get(rule) ?? place };
    if (rateLimit !== undefined) rates.set(rule, new RateLimiter(rateLimit, own));
    if (concurrencyLimit !== undefined) {
      concurrencies.set(rule, new ConcurrencyLimiter(concurrencyLimit, own));
    }
    if (basicAuth !== undefined) basics.set(rule, createBasicAuth(basicAuth, options));
    if (forwardAuth !== undefined) forwards.set(rule, createForwardAuth(forwardAuth, options));
  }
  return {
    rateLimiterOf: (rule) => rates.get(rule),
    concurrencyLimiterOf: (rule) => concurrencies.get(rule),
    basicAuthOf: (rule) => basics.get(rule),
    forwardAuthOf: (rule) => forwards.get(rule),
  };
}

/** Returns the files of users that rules name. */
function listUserFiles(rules: readonly RuleSetting[]): string[] {
  return rules.flatMap(({ basicAuth }) => (basicAuth?.kind === "file" ? [basicAuth.path] : []));
}

/** Names each rule by its conditions, so that a rule that moves in the list keeps its name. */
function toIds(rules: readonly RuleSetting[], site: string): ReadonlyMap<RuleSetting, string> {
  const seen = new Map<string, number>();
  return new Map(
    rules.map((rule) => {
      const name = JSON.stringify([site, rule.when]);
      const count = seen.get(name) ?? 0;
      seen.set(name, count + 1);
      return [rule, count === 0 ? name : `${name} ${count}`];
    }),
  );
}

function createBasicAuth(setting: BasicAuthSetting, options: GateOptions): BasicAuth | null {
  if (setting.kind === "off") return null;
  const { userFiles, passwordChecks, states } = options;
  const { realm } = setting;
  if (setting.kind === "file") {
    return new BasicAuth({ ...options, realm, users: () => userFiles.listOf(setting.path) });
  }
  const list = states.take(
    JSON.stringify(["users", setting.users]),
    () => new UserList(new Map(setting.users), passwordChecks),
  );
  return new BasicAuth({ ...options, realm, users: () => list });
}

function createForwardAuth(setting: ForwardAuthSetting, options: GateOptions): ForwardAuth | null {
  if (setting.kind === "off") return null;
  const { url } = setting;
  const ask = url.startsWith("/") ? askHandler(url, options) : askServer(url, options);
  return new ForwardAuth({ ...options, ...setting, name: url, ask });
}

function askServer(url: string, { states }: GateOptions): AskCheck {
  const client = states.take(
    JSON.stringify(["check client", url]),
    () => new CheckClient(new URL(url)),
  );
  return (_, fields, signal) => client.ask(fields, signal);
}

/** Asks a handler of this server, past all stages. */
function askHandler(path: string, { find, nextId }: GateOptions): AskCheck {
  return (head, fields, signal) => {
    const target = parseTarget(path);
    const handler = target.ok ? find(target) : null;
    if (!target.ok || handler === null) return Promise.reject(new Error("no route for the path"));
    const host = head.origin.slice(head.origin.indexOf("/") + 2);
    const check = {
      ...head,
      method: "GET",
      target: path,
      fields: formatBlock([["host", host], ...fields]),
      bodyBytes: 0,
    };
    const exchange = new CheckExchange(check, { id: nextId(), signal });
    // The answer of a stand-in, such as a page with 200, would let the request pass.
    handler.answer(exchange.client, { ...target, standsAlone: true });
    return exchange.answer;
  };
}
