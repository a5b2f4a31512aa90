import type { FoundHead, RequestMessage } from "../channel/messages.ts";
import { Kind } from "../channel/messages.ts";
import type { Protocol } from "../http/client.ts";
import type { FoundFile } from "../http/file-sender.ts";
import type { ErrorCode } from "../lib/errors.ts";
import { assertNever } from "../lib/errors.ts";
import type { TurnClock } from "../lib/turn-clock.ts";
import type { Exchange } from "./exchange.ts";
import type { Others } from "../recovery/isolation.ts";
import type { Lane } from "./lane.ts";
import type { Lanes } from "./lanes.ts";
import type { Recovery } from "../recovery/recovery.ts";
import type { Settlement } from "./settlement.ts";
import type { WaitingLine } from "./waiting-line.ts";

export interface PlacementOptions {
  clock: TurnClock;
  lanes: Lanes;
  line: WaitingLine;
  recovery: Recovery;
  settlement: Settlement;
  /** Called for each exchange that had to wait for a worker, when a worker gets it. */
  onWaited: (ms: number, exchange: Exchange) => void;
}

/** Gives exchanges to workers: at once if a worker has room, else in queue order when a worker gets room. */
export class Placement {
  readonly #clock: TurnClock;
  readonly #lanes: Lanes;
  readonly #line: WaitingLine;
  readonly #recovery: Recovery;
  readonly #settlement: Settlement;
  readonly #onWaited: PlacementOptions["onWaited"];
  /** Why nothing is dispatched any more; `null`: dispatching goes on. */
  #closed: ErrorCode | null = null;
  #isDown = false;

  constructor({ clock, lanes, line, recovery, settlement, onWaited }: PlacementOptions) {
    this.#clock = clock;
    this.#lanes = lanes;
    this.#line = line;
    this.#recovery = recovery;
    this.#settlement = settlement;
    this.#onWaited = onWaited;
  }

  /** Notes whether the pool is without workers for a while. Then queued and new exchanges are refused at once. */
  markDown(isDown: boolean): void {
    this.#isDown = isDown;
    if (isDown) this.#failWaiting("ERR_OVERLOADED");
  }

  /** Fails all exchanges that wait, and all that arrive later. */
  close(code: ErrorCode): void {
    this.#closed = code;
    this.#failWaiting(code);
  }

  /** Dispatches an exchange, or queues it. */
  place(exchange: Exchange): void {
    if (this.#closed !== null) {
      this.#settlement.fail(exchange, this.#closed);
      return;
    }
    if (this.#recovery.isWatching && this.#recovery.divert(exchange, this.#clock.now())) {
      this.pumpHeld();
      return;
    }
    const lanes = this.#lanes;
    const lane = exchange.reserved
      ? pickForReserved(lanes, exchange)
      : (lanes.pick(this.#clock.now()) ?? pickAhead(lanes, exchange));
    if (lane !== null) this.dispatch(exchange, lane);
    else this.#enqueue(exchange);
  }

  dispatch(exchange: Exchange, lane: Lane): void {
    const { client, body, intake, trouble, found, callDepth } = exchange;
    const nowMs = this.#clock.now();
    if (exchange.state === "queued") this.#onWaited(nowMs - exchange.sinceMs, exchange);
    exchange.state = "dispatched";
    exchange.sinceMs = trouble?.firstMs ?? nowMs;
    exchange.lane = lane;
    client.workerId = lane.workerId;
    lane.inFlight.add(exchange);
    lane.dispatched++;
    const message: RequestMessage = [
      Kind.request,
      exchange.id,
      exchange.route,
      exchange.params,
      client.head.method,
      exchange.url,
      client.head.fields,
      client.head.clientAddress,
      trouble === null ? exchange.timeoutMs : timeLeftMs(exchange, nowMs),
      body,
    ];
    const bodyBytes = body instanceof Uint8Array ? body.length : 0;
    const size = client.head.fields.length + bodyBytes;
    const { protocol = "HTTP/1.1", tls = 0 } = client.head;
    if (found === null && callDepth === 0 && protocol === "HTTP/1.1" && tls === 0) {
      lane.channel.send(message, size);
    } else {
      const odd = withOddParts(message, { found, callDepth, protocol, tls });
      lane.channel.send(odd, found === null ? size : size + found.fields.length);
    }
    intake?.feed({
      chunk: (bytes) =>
        lane.channel.sendLent([Kind.requestChunk, exchange.id, bytes], bytes.length),
      end: () => lane.channel.send([Kind.requestEnd, exchange.id]),
    });
    this.#probe(lane, exchange, nowMs);
  }

  /** Gives waiting exchanges to workers that have room again. */
  pump(): void {
    const lanes = this.#lanes;
    if (this.#recovery.isolation.active) this.#isolate();
    while (this.#line.reserved > 0) {
      const lane = pickForReserved(lanes, this.#line.nextReserved);
      if (lane === null) return;
      const next = this.#line.shiftReserved();
      if (next !== undefined) this.dispatch(next, lane);
    }
    const { again } = this.#recovery;
    while (this.#line.queued > 0 || again.size > 0) {
      const first = again.size > 0 ? undefined : this.#line.next;
      const nowMs = this.#clock.now();
      const lane = lanes.pick(nowMs) ?? pickAhead(lanes, first);
      if (lane === null) return;
      const next = again.shift() ?? this.#line.shift(nowMs);
      if (next !== undefined) this.dispatch(next, lane);
    }
  }

  /** Pumps after `recovery` began to hold exchanges. Fails them if the pool is down: no worker would take them. */
  pumpHeld(): void {
    if (this.#isDown) this.#recovery.failAll("ERR_OVERLOADED");
    this.pump();
  }

  /** Measures all workers while exchanges queue and no new ones arrive. Otherwise their windows would be stale. */
  probeAll(nowMs: number): void {
    const first = this.#line.oldest;
    if (first !== undefined) for (const lane of this.#lanes.ready) this.#probe(lane, first, nowMs);
  }

  /** Ends an exchange whose client has left. */
  abandon(exchange: Exchange): void {
    if (exchange.state === "settled") return;
    this.#settlement.abandon(exchange);
    this.pump();
  }

  /** Queues an exchange, or refuses it at once if it cannot be served in time. */
  #enqueue(exchange: Exchange): void {
    if (this.#isDown) {
      this.#settlement.fail(exchange, "ERR_OVERLOADED");
      return;
    }
    const nowMs = this.#clock.now();
    // All workers are full. Only a new measurement can raise their windows.
    for (const lane of this.#lanes.ready) this.#probe(lane, exchange, nowMs);
    const breach = this.#line.push(exchange, this.#lanes, nowMs);
    if (breach !== null) this.#settlement.overloaded(exchange, breach);
    // This exchange may be the reason to give a kept worker back.
    else if (this.#recovery.isolation.active) this.pump();
  }

  /** Measures how long the worker takes to reach a new message, if a measurement is due. */
  #probe(lane: Lane, { id }: Exchange, nowMs: number): void {
    if (lane.window.takeProbe(lane.busy, nowMs)) lane.channel.send([Kind.probe, id]);
  }

  /** Runs suspects, each on a worker that takes nothing new meanwhile. */
  #isolate(): void {
    const { isolation } = this.#recovery;
    const moment = {
      ready: this.#lanes.ready,
      others: this.#countOthers(),
      nowMs: this.#clock.now(),
    };
    for (;;) {
      const step = isolation.next(moment);
      if (step === null) return;
      switch (step.do) {
        case "keep":
          this.#lanes.withdraw(step.lane);
          break;
        case "open":
          this.#lanes.offer(step.lane);
          break;
        case "run":
          this.dispatch(step.suspect, step.lane);
          break;
        case "probe":
          step.lane.channel.send([Kind.probe, step.suspect.id]);
          break;
        default:
          assertNever(step);
      }
    }
  }

  /** Counts the exchanges that wait for any worker. */
  #countOthers(): Others {
    const { again } = this.#recovery;
    return {
      count: again.size + this.#line.size,
      sinceMs: Math.min(again.peek()?.sinceMs ?? Infinity, this.#line.sinceMs),
    };
  }

  #failWaiting(code: ErrorCode): void {
    this.#line.drain(Infinity, (exchange) => this.#settlement.fail(exchange, code));
    this.#recovery.failAll(code);
  }
}

/** Returns the worker for a reserved exchange. */
function pickForReserved(lanes: Lanes, exchange: Exchange | undefined): Lane | null {
  return exchange !== undefined && exchange.callDepth > 0
    ? lanes.pickForCall()
    : lanes.pickReserved();
}

/** Returns a worker for an exchange in advance: one that may run twice, and has no body to wait for. */
function pickAhead(lanes: Lanes, exchange: Exchange | undefined): Lane | null {
  if (exchange === undefined || exchange.body !== null || exchange.intake !== null) return null;
  const { method } = exchange.client.head;
  return method === "GET" || method === "HEAD" ? lanes.pickAhead() : null;
}

/** Returns how long a repeated exchange may still take, in ms; 0: no limit. */
function timeLeftMs({ sinceMs, timeoutMs }: Exchange, nowMs: number): number {
  return timeoutMs === 0 ? 0 : Math.max(1, Math.ceil(sinceMs + timeoutMs - nowMs));
}

/** Returns the message with the parts that few requests have. A part is nil or 0 where only a later one is needed. */
function withOddParts(
  message: RequestMessage,
  own: { found: FoundFile | null; callDepth: number; protocol: Protocol; tls: number },
): RequestMessage {
  const [kind, id, route, params, method, url, head, address, timeoutMs, body] = message;
  const { callDepth, protocol, tls } = own;
  const found: FoundHead | null = own.found === null ? null : [own.found.status, own.found.fields];
  const start = [kind, id, route, params, method, url, head, address, timeoutMs, body] as const;
  if (tls !== 0) {
    return [...start, found, callDepth, protocol === "HTTP/1.1" ? null : protocol, tls];
  }
  if (protocol !== "HTTP/1.1") return [...start, found, callDepth, protocol];
  if (callDepth > 0) return [...start, null, callDepth];
  return found === null ? message : [...start, found];
}
