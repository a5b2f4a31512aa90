import type { Element } from "./describe-element.ts";
import { BODY_FOLLOWS, type CacheMessage, CHUNK_BYTES, Kind } from "./messages.ts";

/** Returns a message about `caches`; `null`: an element is missing or of the wrong type. */
export function parseCacheMessage(value: unknown[]): CacheMessage | null {
  const elements = CACHE_ELEMENTS.get(value[0]);
  const isValid = elements?.every((element, at) => element.isValid(value[at + 1])) === true;
  // The table has the types of all elements of each kind.
  return isValid ? (value as unknown as CacheMessage) : null;
}

const NUMBER: Element = { name: "number", isValid: isPositive, expected: "a number above 0" };

const CALL: readonly Element[] = [
  NUMBER,
  { name: "route", isValid: Number.isInteger, expected: "an integer" },
  {
    name: "cache",
    isValid: (value) => value === null || isString(value),
    expected: "a string, or nil",
  },
  { name: "url", isValid: isString, expected: "a string" },
];

const REQUEST_FIELDS: Element = {
  name: "requestFields",
  isValid: isString,
  expected: "a string",
};

const BYTES: Element = { name: "bytes", isValid: isPositive, expected: "a number above 0" };

/** Elements of each kind after the kind itself. */
export const CACHE_ELEMENTS: ReadonlyMap<unknown, readonly Element[]> = new Map<
  unknown,
  readonly Element[]
>([
  [Kind.cacheMatch, [...CALL, REQUEST_FIELDS]],
  [
    Kind.cachePut,
    [
      ...CALL,
      REQUEST_FIELDS,
      { name: "status", isValid: isStatus, expected: "an integer from 200 to 599" },
      { name: "statusText", isValid: isString, expected: "a string" },
      { name: "fields", isValid: isString, expected: "a string" },
      { name: "body", isValid: isBody, expected: "a string, bytes, nil or true" },
    ],
  ],
  [Kind.cacheDelete, CALL],
  [
    Kind.cachePiece,
    [
      NUMBER,
      {
        name: "bytes",
        isValid: (value) => value instanceof Uint8Array && value.length <= CHUNK_BYTES,
        expected: `at most ${CHUNK_BYTES} bytes`,
      },
    ],
  ],
  [
    Kind.cachePutEnd,
    [
      NUMBER,
      {
        name: "isWhole",
        isValid: (value) => typeof value === "boolean",
        expected: "a boolean",
      },
    ],
  ],
  [Kind.cacheGrant, [NUMBER, BYTES]],
  [Kind.cacheCancel, [NUMBER]],
]);

function isString(value: unknown): value is string {
  return typeof value === "string";
}

function isPositive(value: unknown): value is number {
  return typeof value === "number" && value > 0;
}

function isStatus(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 200 && Number(value) <= 599;
}

function isBody(value: unknown): boolean {
  return value === null || isString(value) || value instanceof Uint8Array || value === BODY_FOLLOWS;
}
