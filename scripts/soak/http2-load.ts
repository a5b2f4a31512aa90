import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { setTimeout as delay } from "node:timers/promises";
import { findOther, patternFrom, patternOf } from "./pattern.ts";

const { NGHTTP2_CANCEL, NGHTTP2_REFUSED_STREAM } = constants;

/** Longest time for one answer, apart from that of a long stream. */
const ANSWER_MS = 60_000;

/** Pause between two requests of a lane: reloads need a part of the processor. */
const THINK_MS = 10;

/** Most times that one request is sent. */
const MOST_SENDS = 10;

const HELLO = Buffer.from("hello");
const BODY = patternOf(0, 65_536);

/** The first part of a long body: more than the server gathers before it asks a worker. */
const FIRST_BYTES = 262_144;
const PART_BYTES = 1_000;
const PART_MS = 100;

/** One connection. */
interface Session {
  readonly session: ClientHttp2Session;
  /** Number of the last stream that the server answers; `null`: it has sent no GOAWAY. */
  lastStream: number | null;
}

/** Kinds of requests. A `long` stream is open until `turn` has grown by two: for at least one whole reload. */
const KINDS = ["hello", "echo", "long"] as const;
type Kind = (typeof KINDS)[number];

/** The end of a stream: answered, not taken by the server, or the reason of its loss. */
type Outcome = "answered" | "untaken" | { readonly loss: string };

/**
 * Keeps streams of several HTTP/2 connections busy, each with requests of one kind, and compares all answers. After GOAWAY
 * it opens another connection, and sends the requests again that the server has not taken (RFC 9113 section 6.8).
 */
export class Http2Load {
  readonly losses: string[] = [];
  /** Answers by kind. */
  readonly answered: Record<Kind, number> = { hello: 0, echo: 0, long: 0 };
  /** Requests that were sent again. */
  repeated = 0;
  /** Connections that the server ended with GOAWAY. */
  goaways = 0;
  /** Number of events that a long stream must outlive. The owner counts them. */
  turn = 0;
  #isStopped = false;
  readonly #port: number;
  readonly #done: Promise<unknown>;

  /** @param options.lanes Streams of each kind on each connection. */
  constructor(port: number, { connections, lanes }: { connections: number; lanes: number }) {
    this.#port = port;
    this.#done = Promise.all(Array.from({ length: connections }, () => this.#keepBusy(lanes)));
  }

  get answers(): number {
    return KINDS.reduce((sum, kind) => sum + this.answered[kind], 0);
  }

  /** Resolves when all open streams have ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#done;
  }

  /** One connection at a time: streams of the last one may go on beside those of the next. */
  async #keepBusy(lanes: number): Promise<void> {
    let current: Promise<Session> | null = null;
    const take = async (): Promise<Session> => {
      const own = current === null ? null : await current;
      if (own !== null && own.lastStream === null && !own.session.closed) return own;
      if (own !== null && own.lastStream === null) {
        this.losses.push("the server closed a connection without GOAWAY");
      }
      // Several lanes wait for the same connection.
      return (current = this.#connect());
    };
    let taking: Promise<Session> | null = null;
    const session = (): Promise<Session> => {
      taking ??= take().finally(() => (taking = null));
      return taking;
    };
    const all = KINDS.flatMap((kind) => Array.from({ length: lanes }, () => kind));
    try {
      await Promise.all(all.map((kind) => this.#runLane(kind, session)));
    } catch (error) {
      this.losses.push(`no connection: ${String(error)}`);
    }
    const last = await (current as Promise<Session> | null)?.catch(() => null);
    last?.session.destroy();
  }

  async #connect(): Promise<Session> {
    const session = connect(`https://localhost:${this.#port}`, { rejectUnauthorized: false });
    const own: Session = { session, lastStream: null };
    session.on("error", () => {});
    session.on("goaway", (_code: number, lastStream: number) => {
      own.lastStream = lastStream;
      this.goaways++;
    });
    await once(session, "connect");
    return own;
  }

  async #runLane(kind: Kind, session: () => Promise<Session>): Promise<void> {
    while (!this.#isStopped) {
      let outcome: Outcome = "untaken";
      for (let sends = 0; outcome === "untaken" && sends < MOST_SENDS; sends++) {
        if (sends > 0) this.repeated++;
        outcome = await this.#ask(kind, await session());
      }
      if (outcome === "answered") this.answered[kind]++;
      else this.losses.push(outcome === "untaken" ? `${kind}: never taken` : outcome.loss);
      await delay(THINK_MS);
    }
  }

  async #ask(kind: Kind, own: Session): Promise<Outcome> {
    const { session } = own;
    // GOAWAY may have come while other lanes took the connection.
    if (session.closed || session.destroyed) return "untaken";
    const stream = session.request(
      kind === "hello" ? { ":path": "/" } : { ":method": "POST", ":path": "/echo/1" },
    );
    let status = 0;
    stream.on("response", (fields) => (status = Number(fields[":status"])));
    stream.setTimeout(ANSWER_MS, () => stream.close(NGHTTP2_CANCEL));
    const sent = this.#send(kind, stream);
    const received = await receive(stream);
    // A stream that failed takes no more bytes.
    const expected = kind === "hello" ? HELLO : kind === "echo" ? BODY : await sent;
    const failure = received.failure ?? compare(received.bytes, expected);
    if (failure === null && status === 200) return "answered";
    const { id = Number.POSITIVE_INFINITY, rstCode } = stream;
    const isBeyond = own.lastStream !== null && id > own.lastStream;
    if (status === 0 && (isBeyond || rstCode === NGHTTP2_REFUSED_STREAM)) return "untaken";
    const size = `${received.bytes.length} bytes`;
    return {
      loss: `${kind}, stream ${id}: ${failure ?? ""} status ${status}, ${size}, code ${rstCode}`,
    };
  }

  /** Sends the body. Returns the number of bytes of a long one. */
  async #send(kind: Kind, stream: ClientHttp2Stream): Promise<number> {
    if (kind !== "long") {
      stream.end(kind === "echo" ? BODY : undefined);
      return 0;
    }
    const { turn } = this;
    let size = FIRST_BYTES;
    stream.write(patternOf(0, FIRST_BYTES));
    while (this.turn < turn + 2 && !this.#isStopped && !stream.closed && !stream.destroyed) {
      await delay(PART_MS);
      stream.write(patternFrom(size, PART_BYTES));
      size += PART_BYTES;
    }
    stream.end();
    return size;
  }
}

/** Reads an answer to its end. */
async function receive(
  stream: ClientHttp2Stream,
): Promise<{ bytes: Buffer; failure: string | null }> {
  const chunks: Buffer[] = [];
  let failure: string | null = null;
  try {
    // A stream of `node:http2` has buffers only.
    for await (const chunk of stream) chunks.push(chunk as Buffer);
  } catch (error) {
    failure = String(error);
  }
  return { bytes: Buffer.concat(chunks), failure };
}

/** Returns how the body of an answer differs; `null`: it does not. @param expected Its bytes, or the size of a pattern. */
function compare(bytes: Buffer, expected: Buffer | number): string | null {
  if (typeof expected !== "number") return bytes.equals(expected) ? null : "another body,";
  if (bytes.length !== expected) return `another size than ${expected},`;
  const at = findOther(bytes, 0);
  return at === -1 ? null : `another byte at ${at},`;
}
