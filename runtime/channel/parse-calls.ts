import type { Element } from "./describe-element.ts";
import { type CallMessage, CHUNK_BYTES, Kind, MOST_CALL_DEPTH } from "./messages.ts";

/** Returns a message about a call of a handler; `null`: an element is missing or of the wrong type. */
export function parseCallMessage(value: unknown[]): CallMessage | null {
  const elements = CALL_ELEMENTS.get(value[0]);
  const isValid = elements?.every((element, at) => element.isValid(value[at + 1])) === true;
  // The table has the types of all elements of each kind.
  return isValid ? (value as unknown as CallMessage) : null;
}

const NUMBER: Element = { name: "number", isValid: isPositive, expected: "a number above 0" };
const BYTES: Element = { name: "bytes", isValid: isPositive, expected: "a number above 0" };

/** Elements of each kind after the kind itself. */
export const CALL_ELEMENTS: ReadonlyMap<unknown, readonly Element[]> = new Map<
  unknown,
  readonly Element[]
>([
  [
    Kind.call,
    [
      NUMBER,
      {
        name: "use",
        isValid: (value) => value === "service" || value === "assets",
        expected: '"service" or "assets"',
      },
      toText("site"),
      {
        name: "depth",
        isValid: (value) => isAmount(value) && value <= MOST_CALL_DEPTH,
        expected: `a number from 0 to ${MOST_CALL_DEPTH}`,
      },
      toText("method"),
      {
        name: "url",
        isValid: (value) => typeof value === "string" && /^https?:\/\/[^/]+\//.test(value),
        expected: "an absolute URL of http or https",
      },
      toText("fields"),
      toText("clientAddress"),
      { name: "timeoutMs", isValid: isAmount, expected: "a number from 0" },
      toBoolean("hasBody"),
    ],
  ],
  [
    Kind.callPiece,
    [
      NUMBER,
      {
        name: "bytes",
        isValid: (value) => value instanceof Uint8Array && value.length <= CHUNK_BYTES,
        expected: `at most ${CHUNK_BYTES} bytes`,
      },
    ],
  ],
  [Kind.callPieceEnd, [NUMBER, toBoolean("isWhole")]],
  [Kind.callGrant, [NUMBER, BYTES]],
  [Kind.callCancel, [NUMBER]],
]);

function toText(name: string): Element {
  return { name, isValid: (value) => typeof value === "string", expected: "a string" };
}

function toBoolean(name: string): Element {
  return { name, isValid: (value) => typeof value === "boolean", expected: "a boolean" };
}

function isPositive(value: unknown): value is number {
  return typeof value === "number" && value > 0;
}

/** Not NaN, not negative, not infinite. */
function isAmount(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value < Infinity;
}
