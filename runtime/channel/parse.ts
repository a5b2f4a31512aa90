import { RuntimeError } from "../errors.ts";
import type {
  ExchangeId,
  PongMessage,
  ResponseMessage,
  RouteLimits,
  ToPrimary,
  ToWorker,
} from "./messages.ts";
import { BODY_FOLLOWS, Kind, PROTOCOL_VERSION } from "./messages.ts";

/**
 * Checks a message that a worker sent. Workers are trusted not to attack but not to be correct, and they may be
 * written in another language, so each element's type is looked at once, here.
 *
 * @throws RuntimeError `ERR_PROTOCOL` for anything that is not a message of this protocol's version.
 */
export function parseToPrimary(value: unknown): ToPrimary {
  if (!Array.isArray(value)) return refuse(value);
  switch (value[0]) {
    case Kind.response:
      return isResponse(value) ? value : refuse(value);
    case Kind.responseChunk:
      return isId(value[1]) && value[2] instanceof Uint8Array
        ? [Kind.responseChunk, value[1], value[2]]
        : refuse(value);
    case Kind.responseEnd:
      return isId(value[1]) ? [Kind.responseEnd, value[1]] : refuse(value);
    case Kind.responseAbort:
      return isId(value[1]) ? [Kind.responseAbort, value[1]] : refuse(value);
    case Kind.requestCredit:
      return isId(value[1]) && typeof value[2] === "number" && value[2] > 0
        ? [Kind.requestCredit, value[1], value[2]]
        : refuse(value);
    case Kind.settled:
      return isId(value[1]) ? [Kind.settled, value[1]] : refuse(value);
    case Kind.probed:
      return isId(value[1]) ? [Kind.probed, value[1]] : refuse(value);
    case Kind.pong:
      return isPong(value) ? value : refuse(value);
    case Kind.workerHello:
      return [Kind.workerHello, checkVersion(value[1])];
    case Kind.ready:
      return isReady(value) ? value : refuse(value);
    case Kind.bootFailed:
      return isBootFailed(value) ? value : refuse(value);
    case Kind.drained:
      return [Kind.drained];
    default:
      return refuse(value);
  }
}

/**
 * Checks the kind of a message from the primary. Both ends are one program and the version was compared first, so the
 * elements are taken as they are.
 *
 * @throws RuntimeError `ERR_PROTOCOL` for an unknown kind or another protocol version.
 */
export function parseToWorker(value: unknown): ToWorker {
  if (!Array.isArray(value)) return refuse(value);
  const kind: unknown = value[0];
  if (kind === Kind.hello) checkVersion(value[1]);
  if (typeof kind !== "number" || !(kind >= Kind.hello && kind <= Kind.probe)) return refuse(value);
  // The primary of the same version made it from a `ToWorker`.
  return value as unknown as ToWorker;
}

function isResponse(value: unknown[]): value is unknown[] & ResponseMessage {
  const [, id, status, statusText, fields, body] = value;
  return (
    isId(id) &&
    Number.isInteger(status) &&
    typeof status === "number" &&
    status >= 200 &&
    status <= 599 &&
    typeof statusText === "string" &&
    typeof fields === "string" &&
    (body === null ||
      typeof body === "string" ||
      body instanceof Uint8Array ||
      body === BODY_FOLLOWS)
  );
}

function isPong(value: unknown[]): value is unknown[] & PongMessage {
  const [, number, vitals] = value;
  return (
    typeof number === "number" &&
    isMap(vitals) &&
    isAmount(vitals["rssBytes"]) &&
    isAmount(vitals["heapUsedBytes"]) &&
    isAmount(vitals["loopUtilization"])
  );
}

/** Not NaN, not negative, not infinite. */
function isAmount(value: unknown): boolean {
  return typeof value === "number" && value >= 0 && value < Infinity;
}

function isReady(
  value: unknown[],
): value is unknown[] & Extract<ToPrimary, readonly [17, unknown]> {
  const report: unknown = value[1];
  return (
    isMap(report) &&
    typeof report["pid"] === "number" &&
    Array.isArray(report["routes"]) &&
    report["routes"].every((route) => route === null || isRouteReport(route))
  );
}

function isRouteReport(report: unknown): boolean {
  return (
    isMap(report) &&
    (report["methods"] === null || isStrings(report["methods"])) &&
    isLimits(report["limits"]) &&
    isMap(report["methodLimits"]) &&
    Object.values(report["methodLimits"]).every(isLimits) &&
    isStrings(report["ignored"])
  );
}

function isLimits(limits: unknown): boolean {
  return (
    isMap(limits) &&
    LIMITS.every((name) => isLimit(limits[name])) &&
    isOneOf(limits["overflow"], OVERFLOWS) &&
    isOneOf(limits["responseOverflow"], RESPONSE_OVERFLOWS) &&
    isOneOf(limits["reserved"], SWITCHES) &&
    isOneOf(limits["replay"], SWITCHES)
  );
}

const OVERFLOWS: readonly unknown[] = [null, "stream", "spool"];
const RESPONSE_OVERFLOWS: readonly unknown[] = [null, "wait", "spool"];
const SWITCHES: readonly unknown[] = [null, true, false];

function isOneOf(value: unknown, allowed: readonly unknown[]): boolean {
  return allowed.includes(value);
}

const LIMITS = [
  "bodyLimitBytes",
  "timeoutMs",
  "bodyBufferBytes",
  "bodyTimeoutMs",
  "minBodyRateBytesPerSecond",
  "sendTimeoutMs",
] as const satisfies readonly (keyof RouteLimits)[];

function isLimit(limit: unknown): boolean {
  return limit === null || (typeof limit === "number" && limit >= 0);
}

function isStrings(value: unknown): boolean {
  return Array.isArray(value) && value.every((element) => typeof element === "string");
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isBootFailed(
  value: unknown[],
): value is unknown[] & Extract<ToPrimary, readonly [18, unknown]> {
  const failure: unknown = value[1];
  return (
    isMap(failure) && typeof failure["code"] === "string" && typeof failure["message"] === "string"
  );
}

function isId(value: unknown): value is ExchangeId {
  return typeof value === "number" && value > 0;
}

function checkVersion(version: unknown): number {
  if (version === PROTOCOL_VERSION) return version;
  throw new RuntimeError(
    "ERR_PROTOCOL",
    `Cannot talk over the channel: the other side speaks protocol version ${String(version)}, expected ${PROTOCOL_VERSION}`,
  );
}

function refuse(value: unknown): never {
  const kind: unknown = Array.isArray(value) ? value[0] : typeof value;
  throw new RuntimeError("ERR_PROTOCOL", `Cannot read a message of kind ${String(kind)}`);
}
