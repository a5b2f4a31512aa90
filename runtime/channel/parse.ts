import { RuntimeError } from "../lib/errors.ts";
import type {
  ExchangeId,
  FileMessage,
  ModuleStep,
  PathMessage,
  PongMessage,
  PurgeMessage,
  ResponseMessage,
  TopicsMessage,
  ToPrimary,
} from "./messages.ts";
import { BODY_FOLLOWS, Kind, MAX_OPENING, MAX_TOPICS } from "./messages.ts";
import { describeElement, type Element, isMap } from "./describe-element.ts";
import { CACHE_ELEMENTS, parseCacheMessage } from "./parse-cache.ts";
import { CALL_ELEMENTS, parseCallMessage } from "./parse-calls.ts";
import { isTopic, parseSocketMessage, SOCKET_ELEMENTS } from "./parse-sockets.ts";
import { checkVersion } from "./protocol-version.ts";
import { parseBootFailure, parseHandlerFailure, type Parsed, parseReport } from "./parse-report.ts";

/**
 * Checks a message from a worker. Workers are trusted not to attack, but may have bugs, and may be written in another
 * language. Therefore each element's type is checked once, here.
 *
 * @throws RuntimeError `ERR_PROTOCOL` for anything that is not a message of this protocol's version. The error names
 *   the wrong element.
 */
export function parseToPrimary(value: unknown): ToPrimary {
  if (!Array.isArray(value)) return refuse(value);
  switch (value[0]) {
    case Kind.response:
      return isResponse(value) ? value : refuse(value);
    case Kind.responseFile:
      return isFileResponse(value) ? value : refuse(value);
    case Kind.responsePath:
      return isPathResponse(value) ? value : refuse(value);
    case Kind.responseTopics:
      return isTopicsResponse(value) ? value : refuse(value);
    case Kind.responseChunk:
      return isId(value[1]) && value[2] instanceof Uint8Array
        ? [Kind.responseChunk, value[1], value[2]]
        : refuse(value);
    case Kind.responseEnd:
      return isId(value[1]) ? [Kind.responseEnd, value[1]] : refuse(value);
    case Kind.responseAbort:
      return isId(value[1]) ? [Kind.responseAbort, value[1]] : refuse(value);
    case Kind.requestCredit:
      return isId(value[1]) && isPositive(value[2])
        ? [Kind.requestCredit, value[1], value[2]]
        : refuse(value);
    case Kind.settled:
      return isId(value[1]) ? [Kind.settled, value[1]] : refuse(value);
    case Kind.passOn:
      return isId(value[1]) ? [Kind.passOn, value[1]] : refuse(value);
    case Kind.probed:
      return isId(value[1]) ? [Kind.probed, value[1]] : refuse(value);
    case Kind.returned:
      return isId(value[1]) ? [Kind.returned, value[1]] : refuse(value);
    case Kind.pong:
      return isPong(value) ? value : refuse(value);
    case Kind.workerHello:
      return [Kind.workerHello, checkVersion(value[1])];
    case Kind.ready:
      return [Kind.ready, accept(Kind.ready, parseReport(value[1]))];
    case Kind.bootFailed:
      return [Kind.bootFailed, accept(Kind.bootFailed, parseBootFailure(value[1]))];
    case Kind.loading:
      return parseLoading(value);
    case Kind.drained:
      return [Kind.drained];
    case Kind.failed:
      return [Kind.failed, accept(Kind.failed, parseHandlerFailure(value[1]))];
    case Kind.purge:
      return isPurge(value) ? value : refuse(value);
    case Kind.cacheMatch:
    case Kind.cachePut:
    case Kind.cacheDelete:
    case Kind.cachePiece:
    case Kind.cachePutEnd:
    case Kind.cacheGrant:
    case Kind.cacheCancel:
      return parseCacheMessage(value) ?? refuse(value);
    case Kind.call:
    case Kind.callPiece:
    case Kind.callPieceEnd:
    case Kind.callGrant:
    case Kind.callCancel:
      return parseCallMessage(value) ?? refuse(value);
    case Kind.responseSocket:
    case Kind.socketActs:
      return parseSocketMessage(value) ?? refuse(value);
    default:
      return refuse(value);
  }
}

function isResponse(value: unknown[]): value is unknown[] & ResponseMessage {
  const [, id, status, statusText, fields, body] = value;
  return (
    isId(id) && isStatus(status) && isText(statusText) && isText(fields) && isResponseBody(body)
  );
}

function isFileResponse(value: unknown[]): value is unknown[] & FileMessage {
  return isHead(value) && isHandedFile(value[5]);
}

function isPathResponse(value: unknown[]): value is unknown[] & PathMessage {
  return isHead(value) && isPath(value[5]);
}

function isTopicsResponse(value: unknown[]): value is unknown[] & TopicsMessage {
  return isHead(value) && isTopics(value[5]) && isOpening(value[6]);
}

function isTopics(value: unknown): boolean {
  return (
    Array.isArray(value) && value.length > 0 && value.length <= MAX_TOPICS && value.every(isTopic)
  );
}

function isOpening(value: unknown): boolean {
  return isString(value) && value.length <= MAX_OPENING;
}

function isHead([, id, status, statusText, fields]: unknown[]): boolean {
  return isId(id) && isStatus(status) && isText(statusText) && isText(fields);
}

function isHandedFile(value: unknown): boolean {
  return (
    isMap(value) &&
    ["fd", "device", "inode", "start", "lengthBytes"].every((key) => isAmount(value[key]))
  );
}

function isPath(value: unknown): boolean {
  return value === null || (isString(value) && value.startsWith("/"));
}

function isPong(value: unknown[]): value is unknown[] & PongMessage {
  return typeof value[1] === "number" && isVitals(value[2]);
}

function isPurge(value: unknown[]): value is unknown[] & PurgeMessage {
  const [, number, route, entries] = value;
  return isPositive(number) && isInteger(route) && isString(entries);
}

function isInteger(value: unknown): boolean {
  return Number.isInteger(value);
}

/** Workers of earlier versions name no step; they do not tell of `dispose`. */
function parseLoading(value: unknown[]): ToPrimary {
  const [, source, step = "import"] = value;
  return isString(source) && isStep(step) ? [Kind.loading, source, step] : refuse(value);
}

function isStep(value: unknown): value is ModuleStep {
  return value === "import" || value === "init" || value === "dispose";
}

function isId(value: unknown): value is ExchangeId {
  return typeof value === "number" && value > 0;
}

function isStatus(value: unknown): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= 200 && value <= 599;
}

function isText(value: unknown): boolean {
  return isString(value);
}

function isString(value: unknown): value is string {
  return typeof value === "string";
}

function isResponseBody(value: unknown): boolean {
  return (
    value === null ||
    typeof value === "string" ||
    value instanceof Uint8Array ||
    value === BODY_FOLLOWS
  );
}

function isBytes(value: unknown): boolean {
  return value instanceof Uint8Array;
}

function isPositive(value: unknown): value is number {
  return typeof value === "number" && value > 0;
}

function isVitals(value: unknown): boolean {
  return (
    isMap(value) &&
    isAmount(value["rssBytes"]) &&
    isAmount(value["heapUsedBytes"]) &&
    isAmount(value["loopUtilization"]) &&
    (value["backgroundWork"] === undefined || isAmount(value["backgroundWork"]))
  );
}

/** Not NaN, not negative, not infinite. */
function isAmount(value: unknown): boolean {
  return typeof value === "number" && value >= 0 && value < Infinity;
}

/** Returns the value, or refuses the message with the place of its fault. */
function accept<T>(kind: number, parsed: Parsed<T>): T {
  if (parsed.ok) return parsed.value;
  throw new RuntimeError("ERR_PROTOCOL", `Cannot read a message of kind ${kind}: ${parsed.fault}`);
}

const ID: Element = { name: "id", isValid: isId, expected: "a number above 0" };

/** The elements before the body of a response. */
const HEAD: readonly Element[] = [
  ID,
  { name: "status", isValid: isStatus, expected: "an integer from 200 to 599" },
  { name: "statusText", isValid: isText, expected: "a string" },
  { name: "fields", isValid: isText, expected: "a string" },
];

/** Elements of each kind after the kind itself. Used only to name the wrong element of a refused message. */
const ELEMENTS = new Map<unknown, readonly Element[]>([
  [
    Kind.response,
    [...HEAD, { name: "body", isValid: isResponseBody, expected: "a string, bytes, nil or true" }],
  ],
  [
    Kind.responseFile,
    [
      ...HEAD,
      {
        name: "file",
        isValid: isHandedFile,
        expected: "a map of fd, device, inode, start and lengthBytes, numbers from 0",
      },
    ],
  ],
  [
    Kind.responsePath,
    [...HEAD, { name: "path", isValid: isPath, expected: "an absolute path, or nil" }],
  ],
  [
    Kind.responseTopics,
    [
      ...HEAD,
      { name: "topics", isValid: isTopics, expected: `an array of 1 to ${MAX_TOPICS} topics` },
      {
        name: "opening",
        isValid: isOpening,
        expected: `a string of at most ${MAX_OPENING} characters`,
      },
    ],
  ],
  [Kind.responseChunk, [ID, { name: "bytes", isValid: isBytes, expected: "bytes" }]],
  [Kind.responseEnd, [ID]],
  [Kind.responseAbort, [ID]],
  [Kind.requestCredit, [ID, { name: "bytes", isValid: isPositive, expected: "a number above 0" }]],
  [Kind.settled, [ID]],
  [Kind.probed, [ID]],
  [Kind.returned, [ID]],
  ...CACHE_ELEMENTS,
  ...CALL_ELEMENTS,
  ...SOCKET_ELEMENTS,
  [
    Kind.purge,
    [
      { name: "number", isValid: isPositive, expected: "a number above 0" },
      { name: "route", isValid: isInteger, expected: "an integer" },
      { name: "entries", isValid: isString, expected: "a string" },
    ],
  ],
  [
    Kind.loading,
    [
      { name: "source", isValid: isString, expected: "a string" },
      {
        name: "step",
        isValid: (value) => value === undefined || isStep(value),
        expected: '"import", "init" or "dispose"',
      },
    ],
  ],
  [
    Kind.pong,
    [
      {
        name: "number",
        isValid: (value) => typeof value === "number",
        expected: "the number of the ping",
      },
      {
        name: "vitals",
        isValid: isVitals,
        expected: "a map of rssBytes, heapUsedBytes and loopUtilization, numbers from 0",
      },
    ],
  ],
]);

function refuse(value: unknown): never {
  throw new RuntimeError("ERR_PROTOCOL", `Cannot read a message ${describeFault(value)}`);
}

function describeFault(value: unknown): string {
  if (!Array.isArray(value)) return `that is ${describeElement(value)}, expected an array`;
  const kind: unknown = value[0];
  const elements = ELEMENTS.get(kind);
  if (elements === undefined) return `of kind ${describeElement(kind)}, which is unknown`;
  const at = elements.findIndex(({ isValid }, index) => !isValid(value[index + 1]));
  const element = elements[at];
  if (element === undefined) return `of kind ${describeElement(kind)}`;
  const found = describeElement(value[at + 1]);
  return `of kind ${describeElement(kind)}: ${element.name} is ${found}, expected ${element.expected}`;
}
