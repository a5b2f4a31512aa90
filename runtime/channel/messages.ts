/**
 * Every message that crosses between the primary and a worker, in both directions. The same protocol in prose, for
 * workers in other languages: `docs/protocol.md`.
 *
 * A message is an array whose first element is its kind; the others are named in the tuple types below. Header fields
 * travel as one *field block*: `name\nvalue\nname\nvalue`, names in lower case, values as byte strings (one character
 * per byte), duplicates allowed and in order, `""` when there are none.
 */

declare const brand: unique symbol;

/** Names one exchange among all that a primary ever handles: integer, 1 to 2^53 - 1, never used twice. */
export type ExchangeId = number & { readonly [brand]: "ExchangeId" };

/** Names one worker process among all that a primary ever starts: integer, 1 upwards, never used twice. */
export type WorkerId = number & { readonly [brand]: "WorkerId" };

/** Changes when either side could misread the other. The first message in each direction carries it. */
export const PROTOCOL_VERSION = 1;

/** The channel's end among a worker's file descriptors. */
export const CHANNEL_FD = 4;

/** Message kinds. Below 16: primary to worker. From 16: worker to primary. */
export const Kind = {
  hello: 0,
  request: 1,
  requestChunk: 2,
  requestEnd: 3,
  abort: 4,
  responseCredit: 5,
  drain: 6,
  ping: 7,
  probe: 8,
  workerHello: 16,
  ready: 17,
  bootFailed: 18,
  response: 19,
  responseChunk: 20,
  responseEnd: 21,
  responseAbort: 22,
  requestCredit: 23,
  drained: 24,
  settled: 25,
  pong: 26,
  probed: 27,
  loading: 28,
} as const;

/** Stands where a body would: it follows in chunks. */
export const BODY_FOLLOWS = true;

/** Longest chunk of a body, in bytes: no exchange keeps a frame to itself. */
export const CHUNK_BYTES = 64 * 1024;

/**
 * Longest frame that holds no body larger than a chunk, in bytes: what one turn sends of heads, chunks and the rest. A
 * frame to a worker may have one request body on top, which is at most as long as the primary's buffer for one, or that
 * of the route.
 */
export const MAX_FRAME_BYTES = 16 * 1024 * 1024;

/** Longest head of a response, in characters: it travels in one frame with others. */
export const MAX_RESPONSE_HEAD = 1024 * 1024;

/**
 * What a worker may be sent of a request body before it asks for more, in bytes. What it then asks for is what its
 * handler has taken.
 */
export const REQUEST_CREDIT_BYTES = 128 * 1024;

/** What a worker must know before it can load handlers. */
export interface WorkerSettings {
  workerId: WorkerId;
  /** Folder of the generation to load: a manifest and its compiled modules. */
  generationDir: string;
  /** Name of the pool that it is in: it loads what that pool's routes need. */
  pool: string;
  mode: "production" | "development";
  /** Longest time from the start of the process until the worker is ready, in ms; then the primary ends it. */
  bootTimeoutMs: number;
  /** Goes before an exchange's id, in base 36, to make its request id. */
  requestIdPrefix: string;
  /** Longest request body that travels whole, in bytes, where its route does not say otherwise. */
  bodyBufferBytes: number;
  /** What it may send of a response's body before the primary asks for more, in bytes. */
  responseCreditBytes: number;
  logLevel: "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";
  logFormat: "auto" | "pretty" | "json";
  /** Absolute; `null`: standard error. */
  logFile: string | null;
}

/** What a worker loaded. */
export interface WorkerReport {
  pid: number;
  /** By the route's number in the manifest; `null` for those of other pools. */
  routes: (RouteReport | null)[];
}

/** What the primary must know of a route before it dispatches to it. */
export interface RouteReport {
  /** All methods that are not answered 405; `null`: any. */
  methods: string[] | null;
  limits: RouteLimits;
  /** Of methods that differ. */
  methodLimits: Record<string, RouteLimits>;
  /** What the handler's config asks for and this version does not do. */
  ignored: string[];
}

/** `null`: the server's own. */
export interface RouteLimits {
  /** Longest request body. */
  bodyLimitBytes: number | null;
  /** Longest time from the dispatch to the answer; 0: none. */
  timeoutMs: number | null;
  /** A request body up to this size is gathered before the worker gets the request. */
  bodyBufferBytes: number | null;
  /** A larger one comes to the worker as it arrives, or once it is complete. */
  overflow: "stream" | "spool" | null;
  /** A response that is ahead of its client holds the worker back, or waits on the primary's disk. */
  responseOverflow: "wait" | "spool" | null;
  /** Longest pause within a request body; 0: none. */
  bodyTimeoutMs: number | null;
  /** Least average rate of a request body; 0: none. */
  minBodyRateBytesPerSecond: number | null;
  /** Longest time in which a client takes nothing of its response; 0: none. */
  sendTimeoutMs: number | null;
  /** Whether its requests go before all others, and where others are refused; `null`: no. */
  reserved: boolean | null;
  /** Whether a request may be run once more when its worker was lost; `null`: as its method says. */
  replay: boolean | null;
}

/** Why a worker cannot serve; `message` is made for a person and names files and lines. */
export interface BootFailure {
  code: string;
  message: string;
}

/** Tells an answer to a ping from one to an earlier ping: integer, 1 upwards, per worker. */
export type PingNumber = number;

/** How a worker is, by its own account. */
export interface Vitals {
  /** What the process holds of the machine's memory. */
  rssBytes: number;
  /** What its objects take. */
  heapUsedBytes: number;
  /** Which part of the time since its last pong its event loop was busy: 0 to 1. */
  loopUtilization: number;
}

/** A route's number in the manifest, or `-1 - n` for fallback `n`. */
export type RouteNumber = number;

export type ToWorker =
  | readonly [kind: typeof Kind.hello, version: number, settings: WorkerSettings]
  | RequestMessage
  | readonly [kind: typeof Kind.requestChunk, id: ExchangeId, bytes: Uint8Array]
  | readonly [kind: typeof Kind.requestEnd, id: ExchangeId]
  | readonly [kind: typeof Kind.abort, id: ExchangeId, reason: AbortReason]
  | readonly [kind: typeof Kind.responseCredit, id: ExchangeId, bytes: number]
  | readonly [kind: typeof Kind.drain, graceMs: number]
  /** To be answered with `probed` as soon as it is read: behind this request, how long does a worker take to come to it? */
  | readonly [kind: typeof Kind.probe, id: ExchangeId]
  | readonly [kind: typeof Kind.ping, number: PingNumber];

export type RequestMessage = readonly [
  kind: typeof Kind.request,
  id: ExchangeId,
  route: RouteNumber,
  params: Record<string, string> | null,
  method: string,
  /** Absolute and in the serialization of the URL standard. */
  url: string,
  fields: string,
  /** IPv4 or IPv6 in canonical text form, without a port. */
  clientAddress: string,
  /** How long the answer may take from now, in ms; 0: as long as it likes. */
  timeoutMs: number,
  body: Uint8Array | typeof BODY_FOLLOWS | null,
];

/** Why the primary takes no more interest in an exchange. A worker answers each abort with `settled`. */
export type AbortReason = "client-left" | "body-too-large" | "deadline" | "shutdown";

export type ToPrimary =
  | readonly [kind: typeof Kind.workerHello, version: number]
  | readonly [kind: typeof Kind.ready, report: WorkerReport]
  | readonly [kind: typeof Kind.bootFailed, failure: BootFailure]
  /** Sent before the worker loads a file, so that the primary can name the file when the worker hangs or ends there. */
  | readonly [kind: typeof Kind.loading, source: string]
  | ResponseMessage
  | readonly [kind: typeof Kind.responseChunk, id: ExchangeId, bytes: Uint8Array]
  | readonly [kind: typeof Kind.responseEnd, id: ExchangeId]
  | readonly [kind: typeof Kind.responseAbort, id: ExchangeId]
  | readonly [kind: typeof Kind.requestCredit, id: ExchangeId, bytes: number]
  | readonly [kind: typeof Kind.settled, id: ExchangeId]
  | readonly [kind: typeof Kind.probed, id: ExchangeId]
  | readonly [kind: typeof Kind.drained]
  | PongMessage;

/** What a worker says of one exchange. */
export type ExchangeMessage = Extract<
  ToPrimary,
  readonly [kind: number, id: ExchangeId, ...rest: unknown[]]
>;

/** The answer to a ping, sent at once. */
export type PongMessage = readonly [kind: typeof Kind.pong, number: PingNumber, vitals: Vitals];

export type ResponseMessage = readonly [
  kind: typeof Kind.response,
  id: ExchangeId,
  status: number,
  /** `""`: the standard phrase of the status. */
  statusText: string,
  fields: string,
  body: string | Uint8Array | typeof BODY_FOLLOWS | null,
];
