import { BytesSource } from "../bodies/body-sources.ts";
import type { Channel } from "../channel/channel.ts";
import {
  BODY_FOLLOWS,
  CALL_CREDIT_BYTES,
  type CallMessage,
  type CallNumber,
  type CallStart,
  CHUNK_BYTES,
  Kind,
  MOST_CALL_DEPTH,
  type ToPrimary,
  type ToWorker,
  type WorkerId,
} from "../channel/messages.ts";
import type { BodyFlow, BodySink, BodySource, Client, ExchangeId } from "../http/client.ts";
import { findField } from "../http/find-field.ts";
import { OwnClient } from "../http/own-client.ts";
import { hasBody, isSource, type Reply } from "../http/reply.ts";
import { parseTarget, type ParsedTarget } from "../http/target-path.ts";
import { RuntimeError } from "../lib/errors.ts";
import type { RouteResponder } from "./route-responder.ts";
import { SentBody } from "./sent-body.ts";

/** Finds the handlers and files that answer calls, in the generation and config that serve. */
export interface CallTargets {
  /** Returns the routes of a site by its name; `null`: it has none. */
  routesOf(site: string): {
    find(target: ParsedTarget): Pick<RouteResponder, "answerCall"> | null;
  } | null;
  /** Returns a function that answers with the files of a site; `null`: it has none. */
  assetsOf(site: string): ((client: Client, target: ParsedTarget) => void) | null;
}

/** A worker whose handlers call. */
export interface CallingWorker {
  readonly id: WorkerId;
  readonly channel: Pick<Channel<ToPrimary, ToWorker>, "send" | "sendLent">;
}

/**
 * The calls of all handlers to other handlers, and to files of public folders. Each call is a request of its own, whose client is
 * the calling worker. A lost worker leaves nothing behind: its calls end as requests whose clients leave.
 */
export class HandlerCalls {
  readonly #nextId: () => ExchangeId;
  readonly #calls = new Map<WorkerId, WorkerCalls>();
  #targets: CallTargets | null = null;
  #isUsed = false;

  /** @param nextId Returns the id of the next request. */
  constructor(nextId: () => ExchangeId) {
    this.#nextId = nextId;
  }

  /** Leads calls that begin from now on to these targets. */
  use(targets: CallTargets): void {
    this.#targets = targets;
  }

  /** Whether any handler has called so far. */
  get isUsed(): boolean {
    return this.#isUsed;
  }

  /**
   * Takes a message of a worker.
   *
   * @throws RuntimeError `ERR_PROTOCOL` for a message that breaks the protocol.
   */
  take(worker: CallingWorker, message: CallMessage): void {
    this.#isUsed = true;
    let calls = this.#calls.get(worker.id);
    if (calls === undefined) {
      const parts = { nextId: this.#nextId, targets: () => this.#targets };
      calls = new WorkerCalls(worker.channel, parts);
      this.#calls.set(worker.id, calls);
    }
    calls.take(message);
  }

  /** The worker is gone. */
  lose(id: WorkerId): void {
    const calls = this.#calls.get(id);
    this.#calls.delete(id);
    calls?.close();
  }
}

interface Call {
  readonly client: OwnClient;
  /** Passes the body of the request on; `null`: it has none. */
  readonly upload: Upload | null;
  /** Sends the body of the answer; `null`: the answer is not here. */
  download: SentBody | null;
}

/** The calls of one worker. */
class WorkerCalls {
  readonly #channel: CallingWorker["channel"];
  readonly #parts: { nextId: () => ExchangeId; targets: () => CallTargets | null };
  /** Calls whose answer is not complete. */
  readonly #calls = new Map<CallNumber, Call>();

  constructor(
    channel: CallingWorker["channel"],
    parts: { nextId: () => ExchangeId; targets: () => CallTargets | null },
  ) {
    this.#channel = channel;
    this.#parts = parts;
  }

  take(message: CallMessage): void {
    if (message[0] === Kind.call) {
      this.#start(message);
      return;
    }
    const number = message[1];
    const call = this.#calls.get(number);
    // The call was over before the worker knew.
    if (call === undefined) return;
    switch (message[0]) {
      case Kind.callPiece:
        call.upload?.push(message[2]);
        return;
      case Kind.callPieceEnd:
        if (message[2]) call.upload?.end();
        else this.#cancel(number, call);
        return;
      case Kind.callGrant:
        call.download?.grant(message[2]);
        return;
      case Kind.callCancel:
        this.#cancel(number, call);
    }
  }

  close(): void {
    for (const [number, call] of this.#calls) this.#cancel(number, call);
  }

  #start(message: CallStart): void {
    const [, number, use, site, depth, method, url, fields, clientAddress, timeoutMs, hasUpload] =
      message;
    if (this.#calls.has(number)) {
      throw new RuntimeError("ERR_PROTOCOL", `Cannot call: call ${number} is not over`);
    }
    const targets = this.#parts.targets();
    if (targets === null) {
      this.#refuse(
        number,
        "Cannot call: found a server that is starting, expected one that serves",
      );
      return;
    }
    if (depth >= MOST_CALL_DEPTH) {
      this.#refuse(
        number,
        `Cannot call ${method} ${url}: found ${depth} calls within one another, expected fewer. Does a handler call itself?`,
      );
      return;
    }
    const upload = hasUpload
      ? new Upload((bytes) => this.#channel.send([Kind.callCredit, number, bytes]))
      : null;
    // The parser of messages has checked that the URL has a path.
    const pathAt = url.indexOf("/", url.indexOf("//") + 2);
    const client = new OwnClient({
      id: this.#parts.nextId(),
      isLogged: false,
      head: {
        method,
        target: url.slice(pathAt),
        origin: url.slice(0, pathAt),
        fields,
        bodyBytes: hasUpload ? null : 0,
        clientAddress,
      },
      ...(upload !== null && { body: (sink: BodySink) => upload.open(sink) }),
      onReply: (reply) => this.#reply(number, call, reply),
    });
    const call: Call = { client, upload, download: null };
    this.#calls.set(number, call);
    const target = parseTarget(client.head.target);
    if (!target.ok) {
      client.refuse(400);
    } else if (use === "assets") {
      const answer = targets.assetsOf(site);
      if (answer === null) client.refuse(404);
      else answer(client, target);
    } else {
      const responder = targets.routesOf(site)?.find(target) ?? null;
      if (responder === null) client.refuse(404);
      else responder.answerCall(client, target, { timeoutMs, depth: depth + 1 });
    }
  }

  #refuse(number: CallNumber, reason: string): void {
    this.#channel.send([Kind.callAnswer, number, null, reason]);
  }

  #reply(number: CallNumber, call: Call, reply: Reply): void {
    const { status, statusText, body } = reply;
    const fields = withLength(reply);
    const head = [status, statusText, fields] as const;
    if (body === null || !hasBody(call.client.head.method, status)) {
      if (isSource(body)) body.cancel();
      this.#calls.delete(number);
      this.#channel.send([Kind.callAnswer, number, head, null], fields.length);
      return;
    }
    if (!isSource(body) && body.length <= CHUNK_BYTES) {
      this.#calls.delete(number);
      this.#channel.sendLent([Kind.callAnswer, number, head, body], fields.length + body.length);
      return;
    }
    // The reply lends its bytes.
    const source = isSource(body) ? body : new BytesSource(Buffer.from(body));
    this.#channel.send([Kind.callAnswer, number, head, BODY_FOLLOWS], fields.length);
    this.#send(number, call, source);
  }

  #send(number: CallNumber, call: Call, source: BodySource): void {
    const download = new SentBody(source, {
      send: (bytes) => this.#channel.sendLent([Kind.callChunk, number, bytes], bytes.length),
      onEnd: (isWhole) => {
        this.#calls.delete(number);
        this.#channel.send([Kind.callEnd, number, isWhole]);
      },
    });
    call.download = download;
  }

  /** Ends a call as a client does that leaves. */
  #cancel(number: CallNumber, { client, download }: Call): void {
    this.#calls.delete(number);
    if (download === null) client.leave();
    else download.cancel();
  }
}

/** The body of a call on its way from the calling worker. */
class Upload implements BodyFlow {
  readonly #grant: (bytes: number) => void;
  #sink: BodySink | null = null;
  #isPaused = false;
  /** Bytes that the worker may send. */
  #creditBytes = CALL_CREDIT_BYTES;

  /** @param grant Lets the worker send so many more bytes. */
  constructor(grant: (bytes: number) => void) {
    this.#grant = grant;
  }

  open(sink: BodySink): BodyFlow {
    this.#sink = sink;
    return this;
  }

  /** @throws RuntimeError `ERR_PROTOCOL` for more bytes than the worker may send. */
  push(bytes: Uint8Array): void {
    this.#creditBytes -= bytes.length;
    if (this.#creditBytes < 0) {
      const found = `found ${-this.#creditBytes} bytes above the credit`;
      throw new RuntimeError("ERR_PROTOCOL", `Cannot take the body of a call: ${found}`);
    }
    this.#sink?.chunk(bytes);
    this.#renew();
  }

  end(): void {
    this.#sink?.end();
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#renew();
  }

  /** Grants in large pieces: a message for each chunk would cost more than it gives. */
  #renew(): void {
    // A body without a receiver is not read: the answer to the call ends it.
    if (this.#isPaused || this.#sink === null || this.#creditBytes > CALL_CREDIT_BYTES / 2) return;
    const granted = CALL_CREDIT_BYTES - this.#creditBytes;
    this.#creditBytes = CALL_CREDIT_BYTES;
    this.#grant(granted);
  }
}

/** Returns the fields of a reply with the size of its body, where it is known. */
function withLength({ fields, lengthBytes }: Reply): string {
  if (lengthBytes === null || findField(fields, "content-length") !== undefined) return fields;
  return `${fields === "" ? "" : `${fields}\n`}content-length\n${lengthBytes}`;
}
