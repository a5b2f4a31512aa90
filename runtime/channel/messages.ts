import type { HandlerLimits } from "../config/handler-settings.ts";
import type { WorkerBindings } from "../lib/binding-settings.ts";
import type { Rate } from "../lib/rate.ts";
import type { QueueConfig } from "../config/queue-config.ts";
import type { Schedule } from "../lib/schedules.ts";
/**
 * Every message that crosses between the primary and a worker, in both directions. The same protocol in prose, for
 * workers in other languages: `docs/protocol.md`.
 *
 * A message is an array whose first element is its kind; the others are named in the tuple types below. Header fields
 * travel as one *field block*: `name\nvalue\nname\nvalue`, names in lower case, values as byte strings (one character
 * per byte), duplicates allowed and in order, `""` when there are none.
 */

declare const brand: unique symbol;

/** Names one exchange of a primary: integer, 1 to 2^53 - 1, never used twice. */
export type ExchangeId = number & { readonly [brand]: "ExchangeId" };

/** Names one worker process of a primary: integer, 1 upwards, never used twice. */
export type WorkerId = number & { readonly [brand]: "WorkerId" };

/** Changes when one side could misread the other. The first message in each direction carries it. */
export const PROTOCOL_VERSION = 2;

/** File descriptor of the channel in a worker. */
export const CHANNEL_FD = 4;

/** Message kinds. Below 16 and from 64 to 79: primary to worker. All others: worker to primary. */
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
  fileTaken: 9,
  purged: 10,
  cacheAnswer: 11,
  cacheChunk: 12,
  cacheBroken: 13,
  cacheDone: 14,
  cacheCredit: 15,
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
  returned: 29,
  responseFile: 30,
  responsePath: 31,
  purge: 32,
  cacheMatch: 33,
  cachePut: 34,
  cacheDelete: 35,
  cachePiece: 36,
  cachePutEnd: 37,
  cacheGrant: 38,
  cacheCancel: 39,
  failed: 40,
  passOn: 41,
  socketAdopt: 64,
  socketMessage: 65,
  socketClosed: 66,
  socketForget: 67,
  socketBuffered: 68,
  socketOpened: 69,
  socketFlushed: 70,
  responseSocket: 80,
  socketActs: 81,
  responseTopics: 82,
  callAnswer: 72,
  callChunk: 73,
  callEnd: 74,
  callCredit: 75,
  passedOn: 76,
  call: 96,
  callPiece: 97,
  callPieceEnd: 98,
  callGrant: 99,
  callCancel: 100,
} as const;

/** First elements of the acts of handlers on WebSockets. */
export const Act = {
  send: 0,
  close: 1,
  attach: 2,
  subscribe: 3,
  unsubscribe: 4,
  publish: 5,
  confirm: 6,
  announce: 7,
  flush: 8,
} as const;

/** Longest message of a WebSocket of a handler, in bytes: it travels in one frame with others. */
export const MAX_SOCKET_MESSAGE_BYTES = 8 * 1024 * 1024;

/** Largest attachment of a WebSocket, in bytes. */
export const MAX_ATTACHMENT_BYTES = 16 * 1024;

/** Most topics of a WebSocket, and of an event stream. */
export const MAX_TOPICS = 128;

/** Most characters of an event stream before its first message. */
export const MAX_OPENING = 64 * 1024;

/** Longest name of a topic, in characters. */
export const MAX_TOPIC_LENGTH = 256;

/** The code of a file that a worker runs: its top level, or one of its hooks. */
export type ModuleStep = "import" | "init" | "dispose";

/**
 * Method of a request that runs `scheduled()` of a handler. No client can send it: it is no token of HTTP. The fields are
 * those of `SCHEDULED_FIELDS`. The status of the response is 204 after success, and 500 after a failure that was logged.
 */
export const SCHEDULED_METHOD = "@scheduled";

/** Fields of such a request: index of the handler in its route, cron expression, time in ms since 1970. */
export const SCHEDULED_FIELDS = {
  handler: "handler",
  cron: "cron",
  time: "scheduled-time",
} as const;

/**
 * Method of a request that runs `queue()` of a handler, with a batch as its body (`queue-batch.ts`). No client can send it. The
 * fields are those of `QUEUE_FIELDS`. The status of the response is 200 after success, and 500 after a failure that was logged;
 * its body has the words of the handler on the messages.
 */
export const QUEUE_METHOD = "@queue";

/** Fields of such a request: index of the handler in its route, name of the queue. */
export const QUEUE_FIELDS = {
  handler: "handler",
  queue: "queue",
} as const;

/** Stands in place of a body that follows in chunks. */
export const BODY_FOLLOWS = true;

/** Longest chunk of a body, in bytes: one exchange must not fill a frame alone. */
export const CHUNK_BYTES = 64 * 1024;

/**
 * Longest frame without a large body, in bytes: the heads, chunks and other messages of one turn. A frame to a worker
 * may hold one request body in addition, up to the primary's or the route's buffer size.
 */
export const MAX_FRAME_BYTES = 16 * 1024 * 1024;

/** Longest head of a response, in characters: it travels in one frame with others. */
export const MAX_RESPONSE_HEAD = 1024 * 1024;

/**
 * Bytes of a request body that a worker may be sent before it grants more. After that the worker grants as much as its
 * handler has taken.
 */
export const REQUEST_CREDIT_BYTES = 128 * 1024;

/**
 * Bytes of a body that one side of `caches` may send before the other side grants more: the primary of an answer, the worker
 * of an answer that it stores.
 */
export const CACHE_CREDIT_BYTES = 128 * 1024;

/** Bytes of a body that one side of a call of a handler may send before the other side grants more. */
export const CALL_CREDIT_BYTES = 128 * 1024;

/** Most calls within one another: a handler that calls itself without an end is refused beyond it. */
export const MOST_CALL_DEPTH = 16;

/** The settings that a worker needs before it can load handlers. */
export interface WorkerSettings {
  workerId: WorkerId;
  /** Folder of the generation to load: a manifest and its compiled modules. */
  generationDir: string;
  /** Name of the worker's pool. The worker loads the modules of that pool's routes. */
  pool: string;
  mode: "production" | "development";
  /**
   * Longest time from the start of the process until the worker is ready, in ms. After it the primary ends the worker.
   */
  bootTimeoutMs: number;
  /** Prefix of a request id. The exchange's id follows, in base 36. */
  requestIdPrefix: string;
  /** Whether the field `x-request-id`, where a request has it, is its id: a trusted proxy gave it. */
  trustsRequestIds: boolean;
  /** Longest request body that travels whole, in bytes, unless its route has another limit. */
  bodyBufferBytes: number;
  /** Bytes of a response's body that a worker may send before the primary grants more. */
  responseCreditBytes: number;
  /** How the worker compresses its answers; `null`: it does not. */
  compression: "fast" | "balanced" | "best" | null;
  logLevel: "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";
  logFormat: "auto" | "pretty" | "json";
  /** Absolute path; `null`: standard error. */
  logFile: string | null;
  /** The requests whose handlers the worker measures (`handler-time.ts`). */
  measures: MeasuredRequests;
  /** Whether handlers run within the trace that the field `traceparent` names, if the project has OpenTelemetry. */
  traces: boolean;
  /** Names of parameters whose values no log line has. */
  redactQuery: readonly string[];
  /** The bindings of its handlers; `null`: `env` has the environment variables, and nothing else. */
  bindings: WorkerBindings | null;
  /** The Python application that the worker runs; `null`: it runs JavaScript handlers. */
  app: AppSettings | null;
}

/** `sampled`: those whose `traceparent` says that their trace is sampled. */
export type MeasuredRequests = "all" | "sampled" | "none";

/** A Python application, and how a worker runs it. */
export interface AppSettings {
  /** `module:name`, `module:factory()`. */
  spec: string;
  /** Absolute path of the folder that Python looks in first, which is the worker's working directory. */
  dir: string;
  /** The interpreter: an absolute path, or a name to look for in `PATH`. */
  python: string;
  kind: AppKind;
  /** How many requests of a WSGI application a worker runs at a time, each in a thread. */
  threads: number;
  /** The path below which it answers, without a slash at the end: `SCRIPT_NAME`, `root_path`. */
  mount: string;
  /** Whether bodies of a WSGI application wait on disk, so that no thread waits for a client. */
  spools: boolean;
  /** Number of routes of the manifest: the report of a worker has as many elements. */
  routes: number;
  /** Working directory of the primary: messages name files relative to it. */
  cwd: string;
  /** The file of the application; `null`: `spec` names a module. */
  file: AppFile | null;
}

/** A Python application that is a file in the folder of the handlers. */
export interface AppFile {
  /** Absolute path. */
  path: string;
  /** Absolute path of the folder of the handlers. */
  handlersDir: string;
  /** How many segments of each path are the mount, which then differs by request; `null`: `mount` is. */
  depth: number | null;
  /** The methods that it answers; `null`: all. It gets OPTIONS all the same, and no other method. */
  methods: string[] | null;
}

/** The interface of an application; `auto`: its signature tells. */
export type AppKind = "auto" | "wsgi" | "asgi";

/** A worker's report about its loaded handlers. */
export interface WorkerReport {
  pid: number;
  /** Indexed by the route's number in the manifest; `null` for routes of other pools. */
  routes: (RouteReport | null)[];
  /** Exports and settings of the handlers that have no effect: one line each, made for a person, with file and line. */
  warnings: string[];
  /** Number of requests that the worker can run at a time, each in a thread; `null`: it has an event loop. */
  threads: number | null;
}

/** The properties of a route that the primary needs before it dispatches to it. */
export interface RouteReport {
  /** All methods that are not answered 405; `null`: any. */
  methods: string[] | null;
  limits: RouteLimits;
  /** Limits of single methods that differ from `limits`. */
  methodLimits: Record<string, RouteLimits>;
  /** Whether its module exports `webSocketMessage`: its WebSockets may move to another worker. Absent: it does not. */
  hasSockets?: boolean;
  /** Handlers of the route that run at times; absent: none. */
  scheduled?: ScheduledReport[] | undefined;
  /** Handlers of the route that receive messages of queues; absent: none. */
  queues?: QueueReport[] | undefined;
}

/** A handler with `queue()`, and its queue. */
export interface QueueReport {
  /** Index of the handler among those of its route. */
  handler: number;
  queue: QueueConfig;
}

/** A handler with `scheduled()`, and its times. */
export interface ScheduledReport {
  /** Index of the handler among those of its route. */
  handler: number;
  schedules: Schedule[];
}

/** A route's limits. `null`: the server's own. */
export interface RouteLimits extends HandlerLimits {
  /** Whether requests go before all others, and are admitted where others are refused; `null`: no. */
  reserved: boolean | null;
  /** Whether a request may run again after its worker was lost; `null`: its method decides. */
  replay: boolean | null;
  /** Requests of one client address that are admitted within a window of time; `null`: any number. */
  rateLimit: Rate | null;
}

/** Why a worker cannot serve. `message` is for operators and names files and lines. */
export interface BootFailure {
  code: string;
  message: string;
}

/** Why a handler failed, for operators. Sent before the answer of the request. */
export interface HandlerFailure {
  /** The id of the request, as in the log. */
  readonly requestId: string;
  /** The error in one line: `TypeError: x is not a function`. */
  readonly message: string;
  /** The file that answers the route, or the name of the application. */
  readonly handler: string;
  /** The place in the code of the application: `handlers/a.ts:12`; `null`: not known. */
  readonly place: string | null;
}

/** Tells the answers to different pings apart: integer, 1 upwards, per worker. */
export type PingNumber = number;

/** Tells the purges of a worker apart: integer, 1 upwards. */
export type PurgeNumber = number;

/** Tells the calls of a worker to `caches` apart: integer, 1 upwards. */
export type CacheNumber = number;

/** Tells the calls of a worker's handlers to handlers and files apart: integer, 1 upwards. */
export type CallNumber = number;

/** A worker's own measurements. */
export interface Vitals {
  /** Resident memory of the process. */
  rssBytes: number;
  /** Memory of its JavaScript objects. */
  heapUsedBytes: number;
  /** Share of the time since the last pong in which the event loop was busy: 0 to 1. */
  loopUtilization: number;
  /** Promises of `waitUntil()` that have not settled; absent: the worker has no such promises. */
  backgroundWork?: number | undefined;
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
  /** Answered with `probed` as soon as it is read. It measures how long the worker takes to reach a message. */
  | readonly [kind: typeof Kind.probe, id: ExchangeId]
  /**
   * The answer to `responseFile`. True: the primary sends the bytes, and the exchange is over. False: it cannot open the
   * file, and waits for another response.
   */
  | readonly [kind: typeof Kind.fileTaken, id: ExchangeId, isTaken: boolean]
  /**
   * The answer to `passOn`. True: the exchange is over. False: neither a file nor an upstream can answer, and the primary waits
   * for the response of the worker.
   */
  | readonly [kind: typeof Kind.passedOn, id: ExchangeId, isTaken: boolean]
  | PurgedMessage
  | CacheReply
  | CallReply
  | SocketMessage
  | readonly [kind: typeof Kind.ping, number: PingNumber];

export type RequestMessage = readonly [
  kind: typeof Kind.request,
  id: ExchangeId,
  route: RouteNumber,
  params: Record<string, string> | null,
  method: string,
  /** Absolute, in the serialization of the URL standard. */
  url: string,
  fields: string,
  /** IPv4 or IPv6 in canonical text form, without a port. */
  clientAddress: string,
  /** Longest time for the answer from now, in ms; 0: no limit. */
  timeoutMs: number,
  body: Uint8Array | typeof BODY_FOLLOWS | null,
  /** The file that the request found, for middleware that guards files. Absent or `null` for nearly all requests. */
  found?: FoundHead | null,
  /** How many calls of handlers have led to this request, one within the other. Absent or 0: a client sent it. */
  depth?: number,
  /** Version of the protocol that the client speaks. Absent or `null`: `HTTP/1.1`. */
  protocol?: "HTTP/1.0" | "HTTP/2.0" | null,
  /** Version and cipher of the client's TLS (`lib/tls-facts.ts`). Absent: none, or the engine does not know. */
  tls?: number,
];

/** The head of the answer with a file that a request found. */
export type FoundHead = readonly [status: number, fields: string];

/** Why the primary aborts an exchange. A worker answers each abort with `settled`. */
export type AbortReason = "client-left" | "body-too-large" | "deadline" | "shutdown" | "retired";

export type ToPrimary =
  | readonly [kind: typeof Kind.workerHello, version: number]
  | readonly [kind: typeof Kind.ready, report: WorkerReport]
  | readonly [kind: typeof Kind.bootFailed, failure: BootFailure]
  /** Sent before the worker runs code of a file, so that the primary can name it when the worker hangs or ends there. */
  | readonly [kind: typeof Kind.loading, source: string, step: ModuleStep]
  | ResponseMessage
  | FileMessage
  | PathMessage
  | TopicsMessage
  | readonly [kind: typeof Kind.responseChunk, id: ExchangeId, bytes: Uint8Array]
  | readonly [kind: typeof Kind.responseEnd, id: ExchangeId]
  | readonly [kind: typeof Kind.responseAbort, id: ExchangeId]
  | readonly [kind: typeof Kind.requestCredit, id: ExchangeId, bytes: number]
  | readonly [kind: typeof Kind.settled, id: ExchangeId]
  /** The handler failed after `passThroughOnException()`. The site may answer in its place. */
  | readonly [kind: typeof Kind.passOn, id: ExchangeId]
  | readonly [kind: typeof Kind.probed, id: ExchangeId]
  /** The worker has not begun this exchange, and will not: its threads are busy with slow ones. */
  | readonly [kind: typeof Kind.returned, id: ExchangeId]
  | readonly [kind: typeof Kind.drained]
  | readonly [kind: typeof Kind.failed, failure: HandlerFailure]
  | PurgeMessage
  | CacheMessage
  | CallMessage
  | UpgradeMessage
  | SocketActsMessage
  | PongMessage;

/**
 * A response whose body is bytes of a file that the worker has open. The worker keeps the file open until `fileTaken`.
 * The number of bytes is that of `file`. A `content-length` in the fields does not count.
 */
export type FileMessage = readonly [
  kind: typeof Kind.responseFile,
  id: ExchangeId,
  status: number,
  statusText: string,
  fields: string,
  file: HandedFile,
];

/** Bytes of a file that a worker has open. */
export interface HandedFile {
  /** Descriptor in the worker. */
  fd: number;
  /** Device and inode, as `fstat` of the worker has them: the primary compares. */
  device: number;
  inode: number;
  start: number;
  lengthBytes: number;
}

/**
 * A response that the primary makes of a file, as it does for the public folder: with entity tag, ranges and conditions if
 * the status is 200. The fields replace those of the file.
 */
export type PathMessage = readonly [
  kind: typeof Kind.responsePath,
  id: ExchangeId,
  status: number,
  statusText: string,
  fields: string,
  /** Absolute path; `null`: the file that the request found. */
  path: string | null,
];

/** A response whose body is made by the primary: the messages of topics, as server-sent events. The exchange is over. */
export type TopicsMessage = readonly [
  kind: typeof Kind.responseTopics,
  id: ExchangeId,
  status: number,
  statusText: string,
  fields: string,
  topics: readonly string[],
  /** Text before the first message. */
  opening: string,
];

/** A worker's message about one exchange. */
export type ExchangeMessage = Extract<
  ToPrimary,
  readonly [kind: number, id: ExchangeId, ...rest: unknown[]]
>;

/** A message about a call of a handler to `caches`. Calls have the fields of `CacheCall`. */
export type CacheMessage =
  /** Looks for an answer. The reply is `cacheAnswer`. */
  | readonly [...CacheCall<typeof Kind.cacheMatch>, requestFields: string]
  /** Stores an answer. The reply is `cacheDone`. */
  | readonly [
      ...CacheCall<typeof Kind.cachePut>,
      requestFields: string,
      status: number,
      statusText: string,
      fields: string,
      body: string | Uint8Array | typeof BODY_FOLLOWS | null,
    ]
  /** Removes the answers of a URL. The reply is `cacheDone`. */
  | CacheCall<typeof Kind.cacheDelete>
  /** The next bytes of the body of `cachePut`. */
  | readonly [kind: typeof Kind.cachePiece, number: CacheNumber, bytes: Uint8Array]
  /** No more bytes follow. False: the body broke off, and the answer is not stored. */
  | readonly [kind: typeof Kind.cachePutEnd, number: CacheNumber, isWhole: boolean]
  /** The worker takes so many more bytes of the body of `cacheAnswer`. The first ones come after the first grant. */
  | readonly [kind: typeof Kind.cacheGrant, number: CacheNumber, bytes: number]
  /** The worker takes no more of this body. */
  | readonly [kind: typeof Kind.cacheCancel, number: CacheNumber];

/** The elements at the beginning of a call to `caches`. */
export type CacheCall<K extends number> = readonly [
  kind: K,
  number: CacheNumber,
  /** The route of the handler: each site has its own caches. */
  route: RouteNumber,
  /** As in `caches.open`; `null`: `caches.default`. */
  cache: string | null,
  /** Absolute, without a fragment. */
  url: string,
];

/** A message about the reply to a call to `caches`. */
export type CacheReply =
  /** A stored answer. `null` in place of its head: there is none. */
  | readonly [
      kind: typeof Kind.cacheAnswer,
      number: CacheNumber,
      head: readonly [status: number, statusText: string, fields: string] | null,
      body: Uint8Array | typeof BODY_FOLLOWS | null,
    ]
  /** The next bytes of its body, of the size in its `content-length`. */
  | readonly [kind: typeof Kind.cacheChunk, number: CacheNumber, bytes: Uint8Array]
  /** The rest of its body will never come. */
  | readonly [kind: typeof Kind.cacheBroken, number: CacheNumber]
  /** The end of `cachePut` (whether the answer is stored, or why not) and of `cacheDelete` (whether there was one). */
  | readonly [kind: typeof Kind.cacheDone, number: CacheNumber, result: boolean | string]
  /** The primary takes so many more bytes of the body of `cachePut`. */
  | readonly [kind: typeof Kind.cacheCredit, number: CacheNumber, bytes: number];

/** A message about a call of a handler to another handler, or to a file of a public folder. */
export type CallMessage =
  /** Calls. The reply is `callAnswer`. */
  | CallStart
  /** The next bytes of the body of the call. */
  | readonly [kind: typeof Kind.callPiece, number: CallNumber, bytes: Uint8Array]
  /** No more bytes follow. False: the body broke off, and the call ends. */
  | readonly [kind: typeof Kind.callPieceEnd, number: CallNumber, isWhole: boolean]
  /** The worker takes so many more bytes of the body of `callAnswer`. The first ones come after the first grant. */
  | readonly [kind: typeof Kind.callGrant, number: CallNumber, bytes: number]
  /** The worker needs no answer any more, or no more of its body. */
  | readonly [kind: typeof Kind.callCancel, number: CallNumber];

/** A handler calls another one, or asks for a file. */
export type CallStart = readonly [
  kind: typeof Kind.call,
  number: CallNumber,
  use: CallUse,
  /** Name of the site whose handlers or files answer. */
  site: string,
  /** How many calls have led to the request whose handler calls; 0: a client sent it. */
  depth: number,
  method: string,
  /** Absolute, without a fragment. */
  url: string,
  fields: string,
  clientAddress: string,
  /** Longest time for the answer from now, in ms; 0: that of the route. */
  timeoutMs: number,
  /** Whether a body follows in pieces. */
  hasBody: boolean,
];

/** `service`: the handlers of a site answer. `assets`: the files of its public folder do. */
export type CallUse = "service" | "assets";

/** A message about the answer to a call. */
export type CallReply =
  /** `null` in place of the head: the call has failed, and the body is the reason. */
  | readonly [
      kind: typeof Kind.callAnswer,
      number: CallNumber,
      head: readonly [status: number, statusText: string, fields: string] | null,
      body: string | Uint8Array | typeof BODY_FOLLOWS | null,
    ]
  /** The next bytes of its body. */
  | readonly [kind: typeof Kind.callChunk, number: CallNumber, bytes: Uint8Array]
  /** No more bytes follow. False: the body broke off. */
  | readonly [kind: typeof Kind.callEnd, number: CallNumber, isWhole: boolean]
  /** The primary takes so many more bytes of the body of the call. */
  | readonly [kind: typeof Kind.callCredit, number: CallNumber, bytes: number];

/** A handler asks to remove entries of the response cache. Answered with `purged`. */
export type PurgeMessage = readonly [
  kind: typeof Kind.purge,
  number: PurgeNumber,
  /** The route of the handler: a site removes its own entries only. */
  route: RouteNumber,
  /** A URL, the beginning of URLs with a `*` at its end, `tag:NAME`, or `all`. */
  entries: string,
];

/** The answer to `purge`. */
export type PurgedMessage = readonly [
  kind: typeof Kind.purged,
  number: PurgeNumber,
  /** Number of removed entries, or why none can be removed. */
  result: number | string,
];

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

/** Names a WebSocket of a handler: the exchange that became it. */
export type SocketId = ExchangeId;

/** Numbers the events of one WebSocket, from 1. A worker confirms an event once its handler has ended. */
export type SocketEventNumber = number;

/** A WebSocket as a worker gets it that did not accept it. */
export interface SocketState {
  route: RouteNumber;
  params: Record<string, string> | null;
  url: string;
  /** Field block of the request, without large fields. */
  fields: string;
  clientAddress: string;
  /** The subprotocol; `""`: none. */
  protocol: string;
  /** Longest time for the function of one event, in ms; 0: no limit. */
  timeoutMs: number;
  attachment: Uint8Array | null;
  topics: string[];
}

/** A message about a WebSocket. */
export type SocketMessage =
  /** The worker is the home of the WebSocket from now on. */
  | readonly [kind: typeof Kind.socketAdopt, id: SocketId, state: SocketState]
  /** The client sent a message. Text is UTF-8. */
  | readonly [
      kind: typeof Kind.socketMessage,
      id: SocketId,
      number: SocketEventNumber,
      bytes: Uint8Array,
      isBinary: boolean,
    ]
  /** The WebSocket is over. */
  | readonly [
      kind: typeof Kind.socketClosed,
      id: SocketId,
      number: SocketEventNumber,
      code: number,
      reason: string,
      wasClean: boolean,
    ]
  /** The worker is no longer the home of the WebSocket, or its request was refused. */
  | readonly [kind: typeof Kind.socketForget, id: SocketId]
  /** So many bytes wait for a client that is slow. 0: it takes more. */
  | readonly [kind: typeof Kind.socketBuffered, id: SocketId, bytes: number]
  /** The client has the answer 101. The function of one event may take `timeoutMs`; 0: no limit. */
  | readonly [kind: typeof Kind.socketOpened, id: SocketId, timeoutMs: number]
  /**
   * All messages before the act `flush` with this number have left for the client. 0: the client is gone, and gets no more
   * messages; `socketClosed` follows behind the messages that the client sent before.
   */
  | readonly [kind: typeof Kind.socketFlushed, id: SocketId, number: number];

/** A handler accepts a WebSocket instead of a response. The exchange is over. */
export type UpgradeMessage = readonly [
  kind: typeof Kind.responseSocket,
  id: ExchangeId,
  /** Field block of the answer 101. */
  fields: string,
  /** Whether its listeners are in this worker: it cannot move. */
  isBound: boolean,
  /** Acts of the handler before the answer. */
  acts: readonly SocketAct[],
  /** Whether the worker waits for `socketFlushed` before it sends more than a slow client takes. Absent: it does not. */
  isPaced?: boolean,
];

/** The acts of one turn of the event loop. The primary carries out all of them, or none. */
export type SocketActsMessage = readonly [kind: typeof Kind.socketActs, acts: readonly SocketAct[]];

/** One act of a handler on a WebSocket. */
export type SocketAct =
  | readonly [act: typeof Act.send, id: SocketId, bytes: Uint8Array, isBinary: boolean]
  | readonly [act: typeof Act.close, id: SocketId, code: number, reason: string]
  | readonly [act: typeof Act.attach, id: SocketId, bytes: Uint8Array | null]
  | readonly [act: typeof Act.subscribe, id: SocketId, topic: string]
  | readonly [act: typeof Act.unsubscribe, id: SocketId, topic: string]
  /** Sends to all other subscribers of the topic. */
  | readonly [
      act: typeof Act.publish,
      id: SocketId,
      topic: string,
      bytes: Uint8Array,
      isBinary: boolean,
    ]
  /** The handlers of all events up to this one have ended. */
  | readonly [act: typeof Act.confirm, id: SocketId, number: SocketEventNumber]
  /** Answered with `socketFlushed` once no message waits for the client. Numbers of one WebSocket rise, from 1. */
  | readonly [act: typeof Act.flush, id: SocketId, number: number]
  /** Sends to all subscribers of the topic, in the site of the route. */
  | readonly [
      act: typeof Act.announce,
      route: RouteNumber,
      topic: string,
      bytes: Uint8Array,
      isBinary: boolean,
    ];
