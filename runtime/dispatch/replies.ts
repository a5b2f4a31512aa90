import type {
  ExchangeMessage,
  FileMessage,
  PathMessage,
  ResponseMessage,
  TopicsMessage,
  UpgradeMessage,
} from "../channel/messages.ts";
import { takeHandlerTime } from "../channel/handler-time.ts";
import { BODY_FOLLOWS, Kind } from "../channel/messages.ts";
import { assertNever, RuntimeError } from "../lib/errors.ts";
import type { TurnClock } from "../lib/turn-clock.ts";
import type { BlockPool } from "../bodies/block-pool.ts";
import type { BodySource } from "../http/client.ts";
import type { FileSender } from "../http/file-sender.ts";
import type { Reply } from "../http/reply.ts";
import type { Exchange } from "./exchange.ts";
import type { Lane } from "./lane.ts";
import type { Lanes } from "./lanes.ts";
import { passOn, type PassOnResult } from "./pass-on.ts";
import type { Placement } from "./placement.ts";
import type { Recovery } from "../recovery/recovery.ts";
import { ResponseFeed } from "../bodies/response-feed.ts";
import type { Settlement } from "./settlement.ts";
import type { Spool } from "../bodies/spool.ts";
import type { WaitingLine } from "./waiting-line.ts";

export interface RepliesOptions {
  clock: TurnClock;
  lanes: Lanes;
  line: WaitingLine;
  placement: Placement;
  recovery: Recovery;
  settlement: Settlement;
  spool: Spool;
  /** Bytes of a response's body that a worker may send before the client, or the disk, has taken any of them. */
  responseCreditBytes: number;
  /** Whether workers measure their handlers: their responses then have the time. */
  measures: boolean;
  /** Memory for response bytes that wait for the client. */
  blocks: BlockPool;
  /** Sends files that workers hand over; `null`: workers send the bytes. */
  files: FileSender | null;
  onDiskError: (exchange: Exchange, cause: unknown) => void;
  /** Called for each request whose handler failed after `passThroughOnException()`. */
  onPassOn: (exchange: Exchange, result: PassOnResult) => void;
  /** Makes a WebSocket of a request whose handler asks for it; `null`: the request is refused. */
  onUpgrade: OnUpgrade | null;
  /** Returns the body of a response with the messages of topics; `null`: the request is refused. */
  openTopics: OpenTopics | null;
}

/** Called once the exchange is settled. `lane` is that of the worker with the handler. */
export type OnUpgrade = (exchange: Exchange, lane: Lane, message: UpgradeMessage) => void;

/** Called once the exchange is settled. */
export type OpenTopics = (exchange: Exchange, message: TopicsMessage) => BodySource;

/** Handles the workers' messages about exchanges: passes answers to clients, and dispatches waiting exchanges. */
export class Replies {
  readonly #options: RepliesOptions;
  // Used for each answer.
  readonly #clock: TurnClock;
  readonly #lanes: Lanes;
  readonly #line: WaitingLine;
  readonly #placement: Placement;
  readonly #recovery: Recovery;
  readonly #settlement: Settlement;

  constructor(options: RepliesOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#lanes = options.lanes;
    this.#line = options.line;
    this.#placement = options.placement;
    this.#recovery = options.recovery;
    this.#settlement = options.settlement;
  }

  /**
   * Handles a worker's message about an exchange. Drops the message when the exchange is already settled.
   *
   * @throws RuntimeError `ERR_PROTOCOL` for a message that does not fit the state of the exchange.
   */
  receive(lane: Lane, message: ExchangeMessage): void {
    if (message[0] === Kind.probed) {
      const now = { ms: this.#clock.now(), latencyMs: this.#lanes.latencyMs };
      lane.window.onProbed(this.#line.queued > 0, now);
      this.#recovery.isolation.onProbeAnswer(lane, message[1]);
      this.#placement.pump();
      return;
    }
    const exchange = lane.inFlight.get(message[1]);
    if (exchange === undefined || exchange.state === "settled") {
      if (message[0] === Kind.passOn) lane.channel.send([Kind.passedOn, message[1], true]);
      // The worker keeps a WebSocket until it is told of its end.
      else if (message[0] === Kind.responseSocket) {
        lane.channel.send([Kind.socketForget, message[1]]);
      } else if (message[0] === Kind.settled && exchange !== undefined) {
        this.#acknowledge(lane, exchange);
      }
      return;
    }
    switch (message[0]) {
      case Kind.response:
        this.#onResponse(exchange, message);
        return;
      case Kind.responseFile:
        this.#onFile(lane, exchange, message);
        return;
      case Kind.responsePath:
        this.#onPath(exchange, message);
        return;
      case Kind.responseTopics:
        this.#onTopics(exchange, message);
        return;
      case Kind.responseSocket:
        this.#onSocket(lane, exchange, message);
        return;
      case Kind.responseChunk:
        feedOf(exchange).push(message[2]);
        return;
      case Kind.responseEnd: {
        const feed = feedOf(exchange);
        this.#settlement.settle(exchange);
        feed.end();
        this.#placement.pump();
        return;
      }
      case Kind.responseAbort:
        this.#settlement.fail(exchange, "ERR_HANDLER_THREW");
        // The handler failed, but its worker lives.
        if (exchange.trouble !== null) this.#recovery.clear(lane, exchange);
        this.#placement.pump();
        return;
      case Kind.requestCredit:
        exchange.intake?.grant(message[2]);
        return;
      case Kind.returned:
        this.#takeBack(lane, exchange);
        return;
      case Kind.passOn:
        this.#passOn(lane, exchange);
        return;
      case Kind.settled:
        // The loss of the worker decides about the exchange.
        if (lane.isCutOff) return;
        throw new RuntimeError(
          "ERR_PROTOCOL",
          "Cannot take an acknowledgement: the exchange was not aborted",
        );
      default:
        assertNever(message);
    }
  }

  #onResponse(exchange: Exchange, message: ResponseMessage): void {
    this.#noteAnswer(exchange);
    const { lane, trouble } = exchange;
    const [, , status, statusText, , body] = message;
    const fields = this.#takeTime(exchange, message[4]);
    if (body === BODY_FOLLOWS) {
      this.#beginStream(exchange, { status, statusText, fields });
      return;
    }
    this.#settlement.settle(exchange);
    if (trouble !== null && lane !== null) this.#recovery.clear(lane, exchange);
    exchange.client.reply({ status, statusText, fields, body, lengthBytes: null });
    this.#placement.pump();
  }

  /** @throws RuntimeError `ERR_PROTOCOL` for an exchange that has a response. */
  #noteAnswer({ state, lane, trouble, sinceMs }: Exchange): void {
    if (state !== "dispatched") {
      throw new RuntimeError(
        "ERR_PROTOCOL",
        "Cannot take a response: the exchange has one already",
      );
    }
    const nowMs = this.#clock.now();
    if (trouble === null) this.#lanes.noteLatency(nowMs - sinceMs);
    lane?.window.onAnswer(this.#line.queued > 0, nowMs);
    lane?.ahead?.onAnswer(sinceMs, nowMs);
  }

  /** Returns the fields of a response without the worker's measurement, and notes it for a request that is measured. */
  #takeTime({ client, sinceMs }: Exchange, measured: string): string {
    if (!this.#options.measures) return measured;
    const { fields, time } = takeHandlerTime(measured);
    const { timings } = client;
    if (timings !== null && timings !== undefined) {
      timings.dispatchedMs = sinceMs;
      timings.answeredMs = performance.now();
      timings.handler = time;
    }
    return fields;
  }

  /** Opens a file that the worker holds open. Meanwhile the client may leave, or the worker may be lost. */
  #onFile(lane: Lane, exchange: Exchange, message: FileMessage): void {
    this.#noteAnswer(exchange);
    this.#takeTime(exchange, message[4]);
    exchange.state = "opening";
    const opening = this.#options.files?.openHanded(lane.pid, message[5]);
    const settled = (body: BodySource | null): void => {
      if (exchange.state === "opening" && exchange.lane === lane) {
        this.#onOpened(lane, exchange, { message, body });
      } else body?.cancel();
    };
    if (opening === undefined) settled(null);
    else void opening.then(settled);
  }

  #onOpened(
    lane: Lane,
    exchange: Exchange,
    { message, body }: { message: FileMessage; body: BodySource | null },
  ): void {
    lane.channel.send([Kind.fileTaken, exchange.id, body !== null]);
    if (body === null) {
      exchange.state = "dispatched";
      return;
    }
    this.#settlement.settle(exchange);
    if (exchange.trouble !== null) this.#recovery.clear(lane, exchange);
    const [, , status, statusText, fields, { lengthBytes }] = message;
    exchange.client.reply({ status, statusText, fields, body, lengthBytes });
    this.#placement.pump();
  }

  /** The worker has nothing to do with the file. The client gets it as a static file. */
  #onPath(exchange: Exchange, message: PathMessage): void {
    this.#noteAnswer(exchange);
    const { client, lane, trouble } = exchange;
    this.#settlement.settle(exchange);
    if (trouble !== null && lane !== null) this.#recovery.clear(lane, exchange);
    // The exchange is over. The client may still leave before the file is open.
    client.onAbort(() => {});
    const [, , status, statusText, , path] = message;
    const fields = this.#takeTime(exchange, message[4]);
    const { files } = this.#options;
    if (path === null) {
      if (exchange.found === null) client.refuse(500);
      else exchange.found.answer(client, { status, statusText, fields });
    } else if (files === null) client.refuse(500);
    else files.answerWith(client, { path, status, statusText, fields });
    this.#placement.pump();
  }

  /** The worker has nothing to do with the messages. The client gets them from the primary. */
  #onTopics(exchange: Exchange, message: TopicsMessage): void {
    this.#noteAnswer(exchange);
    const { client, lane, trouble } = exchange;
    this.#settlement.settle(exchange);
    if (trouble !== null && lane !== null) this.#recovery.clear(lane, exchange);
    client.onAbort(() => {});
    const [, , status, statusText, measured] = message;
    const fields = this.#takeTime(exchange, measured);
    const { openTopics } = this.#options;
    if (openTopics === null) client.refuse(500);
    else {
      const body = client.head.method === "HEAD" ? null : openTopics(exchange, message);
      client.reply({ status, statusText, fields, body, lengthBytes: null });
    }
    this.#placement.pump();
  }

  #onSocket(lane: Lane, exchange: Exchange, message: UpgradeMessage): void {
    this.#noteAnswer(exchange);
    const { client, trouble } = exchange;
    this.#settlement.settle(exchange);
    if (trouble !== null) this.#recovery.clear(lane, exchange);
    client.onAbort(() => {});
    const { onUpgrade } = this.#options;
    if (onUpgrade === null) client.refuse(500);
    else onUpgrade(exchange, lane, message);
    this.#placement.pump();
  }

  #beginStream(exchange: Exchange, head: Omit<Reply, "body" | "lengthBytes">): void {
    const { lane, trouble } = exchange;
    const { responseCreditBytes, blocks, spool, onDiskError } = this.#options;
    const feed = new ResponseFeed({
      creditBytes: responseCreditBytes,
      blocks,
      spool: exchange.buffering.responseOverflow === "spool" ? spool : null,
      grant: (bytes) => exchange.lane?.channel.send([Kind.responseCredit, exchange.id, bytes]),
      onCancel: () => this.#placement.abandon(exchange),
      onDiskError: (error) => onDiskError(exchange, error),
    });
    exchange.state = "answering";
    if (lane !== null) lane.streams++;
    exchange.feed = feed;
    // The answer begins to leave. The request cannot be replayed any more.
    exchange.intake?.commit();
    if (trouble !== null && lane !== null) this.#recovery.clear(lane, exchange);
    exchange.client.reply({ ...head, body: feed, lengthBytes: null });
    this.#placement.pump();
  }

  /** Offers the request of a handler that failed to the site. Without an answer there, the worker sends its own. */
  #passOn(lane: Lane, exchange: Exchange): void {
    if (exchange.state !== "dispatched") {
      throw new RuntimeError(
        "ERR_PROTOCOL",
        "Cannot pass a request on: the exchange has a response already",
      );
    }
    const result = passOn(exchange);
    lane.channel.send([Kind.passedOn, exchange.id, result.by !== null]);
    this.#options.onPassOn(exchange, result);
    if (result.by === null) return;
    this.#noteAnswer(exchange);
    this.#settlement.settle(exchange);
    if (exchange.trouble !== null) this.#recovery.clear(lane, exchange);
    result.begin();
    this.#placement.pump();
  }

  /** Another worker runs an exchange that this one has not begun. */
  #takeBack(lane: Lane, exchange: Exchange): void {
    if (exchange.state !== "dispatched" || exchange.intake !== null) {
      throw new RuntimeError(
        "ERR_PROTOCOL",
        "Cannot take an exchange back: its worker has begun to answer it, or to read its body",
      );
    }
    lane.inFlight.delete(exchange.id);
    lane.ahead?.onReturned();
    exchange.lane = null;
    this.#recovery.holdAgain(exchange, this.#clock.now());
    this.#placement.pumpHeld();
  }

  #acknowledge(lane: Lane, exchange: Exchange): void {
    lane.inFlight.delete(exchange.id);
    if (exchange.trouble !== null) this.#recovery.isolation.finish(lane, exchange);
    this.#placement.pump();
  }
}

function feedOf(exchange: Exchange): ResponseFeed {
  if (exchange.feed !== null) return exchange.feed;
  throw new RuntimeError("ERR_PROTOCOL", "Cannot take a chunk: no response announced a body");
}
