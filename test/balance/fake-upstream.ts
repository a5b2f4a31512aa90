import pino from "pino";
import type { GroupParts } from "../../runtime/balance/members.ts";
import type { Resolution, ResolveName } from "../../runtime/balance/names/resolve-name.ts";
import {
  readUpstreamGroup,
  type UpstreamGroupSetting,
} from "../../runtime/config/upstream-settings.ts";
import type {
  ExchangeEvents,
  UpstreamExchange,
  UpstreamFailure,
  UpstreamRequest,
  UpstreamServer,
  UpstreamStatus,
} from "../../runtime/upstream/exchange.ts";
import type { UpstreamServerOptions } from "../../runtime/upstream/server-options.ts";

/** An upstream server without a network. A test ends its exchanges. */
export class FakeUpstream implements UpstreamServer {
  readonly name: string;
  readonly options: UpstreamServerOptions;
  readonly requests: UpstreamRequest[] = [];
  readonly #open = new Set<ExchangeEvents>();
  /** Grace periods of the calls of `close`. */
  readonly closed: number[] = [];
  isDestroyed = false;
  #onIdle: (() => void) | null = null;

  constructor(options: UpstreamServerOptions) {
    this.name = options.name;
    this.options = options;
  }

  get inFlight(): number {
    return this.#open.size;
  }

  open(request: UpstreamRequest, events: ExchangeEvents): UpstreamExchange {
    this.requests.push(request);
    this.#open.add(events);
    const abort = (): void => this.#settle(events);
    return { isRequestSent: true, write: () => true, end() {}, pause() {}, resume() {}, abort };
  }

  /** Begins a request that a test does not look at. */
  occupy(): void {
    this.open(REQUEST, { ...IGNORED });
  }

  /** Answers the oldest exchange. */
  answer(status = 200): void {
    const [events] = this.#open;
    if (events === undefined) throw new Error(`${this.name} has no request`);
    this.#settle(events);
    events.onHead({ status, statusText: "", fields: "", bodyBytes: 0 });
    events.onEnd();
  }

  /** Sends a part of a body on the oldest exchange. */
  send(bytes: Uint8Array): void {
    for (const events of [...this.#open].slice(0, 1)) events.onChunk(bytes);
  }

  /** Fails the oldest exchange. */
  fail(failure: Partial<UpstreamFailure> = {}): void {
    const [events] = this.#open;
    if (events === undefined) throw new Error(`${this.name} has no request`);
    this.#settle(events);
    events.onFailed({ ...FAILURE, ...failure });
  }

  status(): UpstreamStatus {
    throw new Error("groups count themselves");
  }

  close(graceMs: number): Promise<void> {
    this.closed.push(graceMs);
    return this.inFlight === 0 ? Promise.resolve() : new Promise((done) => (this.#onIdle = done));
  }

  destroy(): void {
    this.isDestroyed = true;
  }

  #settle(events: ExchangeEvents): void {
    if (!this.#open.delete(events)) return;
    this.options.onSettled?.();
    if (this.inFlight === 0) this.#onIdle?.();
  }
}

export const FAILURE: UpstreamFailure = {
  phase: "first-byte",
  reason: "the upstream closed the connection",
  code: null,
  sent: true,
  begun: false,
  reused: false,
  timedOut: false,
};

/** The failure of a server without a process that listens. */
export const REFUSED: UpstreamFailure = {
  ...FAILURE,
  phase: "connect",
  reason: "connection refused (ECONNREFUSED)",
  code: "ECONNREFUSED",
  sent: false,
};

const REQUEST: UpstreamRequest = {
  method: "GET",
  target: "/",
  fields: "host\na",
  body: null,
  bodyBytes: null,
  upgrade: null,
  timeouts: null,
};

const IGNORED: ExchangeEvents = {
  onInformational() {},
  onHead() {},
  onChunk() {},
  onEnd() {},
  onUpgraded() {},
  onDrain() {},
  onFailed() {},
};

/** One line of the log. */
export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** Parts of a server with a fake network, a clock that stands still, and a DNS that a test writes. */
export class FakeNetwork {
  readonly opened: FakeUpstream[] = [];
  readonly lines: LogLine[] = [];
  readonly names = new Map<string, Resolution | Error>();
  readonly queries: string[] = [];
  nowMs = 1_000_000;
  readonly parts: GroupParts = {
    open: (options) => {
      const server = new FakeUpstream(options);
      this.opened.push(server);
      return server;
    },
    resolve: (query) => this.#resolve(query),
    // Each line is an object.
    log: pino({}, { write: (line: string) => this.lines.push(JSON.parse(line) as LogLine) }),
    now: () => this.nowMs,
  };

  /** Returns the last opened server of an address. */
  find(name: string): FakeUpstream {
    const server = this.opened.findLast((each) => each.name === name);
    if (server === undefined) throw new Error(`no server ${name}`);
    return server;
  }

  /** The messages of the log, with the server and the reason. */
  get messages(): string[] {
    return this.lines.map(({ msg, upstream, reason }) =>
      [msg, upstream, reason].filter((part) => typeof part === "string").join(", "),
    );
  }

  readonly #resolve: ResolveName = ({ name }) => {
    this.queries.push(name);
    const found = this.names.get(name) ?? new Error(`${name} is unknown`);
    return found instanceof Error ? Promise.reject(found) : Promise.resolve(found);
  };
}

/** Returns the checked settings of a group. @throws Error for a wrong setting. */
export function toGroupSetting(group: unknown, name = "api"): UpstreamGroupSetting {
  return readUpstreamGroup(name, group, { key: "upstreams.api", folder: "/", refuse });
}

function refuse(key: string, _value: unknown, expected: string): void {
  throw new Error(`${key}: expected ${expected}`);
}
