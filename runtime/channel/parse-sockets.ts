import type { Element } from "./describe-element.ts";
import {
  Act,
  Kind,
  MAX_ATTACHMENT_BYTES,
  MAX_SOCKET_MESSAGE_BYTES,
  MAX_TOPIC_LENGTH,
  type SocketAct,
  type SocketActsMessage,
  type UpgradeMessage,
} from "./messages.ts";

/** Returns a message about WebSockets; `null`: an element is missing or of the wrong type. */
export function parseSocketMessage(value: unknown[]): UpgradeMessage | SocketActsMessage | null {
  const elements = SOCKET_ELEMENTS.get(value[0]);
  const isValid = elements?.every((element, at) => element.isValid(value[at + 1])) === true;
  // The table has the types of all elements of each kind.
  return isValid ? (value as unknown as UpgradeMessage | SocketActsMessage) : null;
}

const ACTS: Element = {
  name: "acts",
  isValid: (value) => Array.isArray(value) && value.every(isAct),
  expected: "an array of acts on WebSockets",
};

/** Elements of each kind after the kind itself. */
export const SOCKET_ELEMENTS: ReadonlyMap<unknown, readonly Element[]> = new Map<
  unknown,
  readonly Element[]
>([
  [
    Kind.responseSocket,
    [
      { name: "id", isValid: isPositive, expected: "a number above 0" },
      { name: "fields", isValid: isString, expected: "a string" },
      { name: "isBound", isValid: isFlag, expected: "a boolean" },
      ACTS,
      {
        name: "isPaced",
        isValid: (value) => value === undefined || isFlag(value),
        expected: "a boolean or nothing",
      },
    ],
  ],
  [Kind.socketActs, [ACTS]],
]);

function isAct(value: unknown): value is SocketAct {
  if (!Array.isArray(value)) return false;
  const [act, id, first, second, third] = value as unknown[];
  switch (act) {
    case Act.send:
      return isPositive(id) && isPayload(first) && isFlag(second);
    case Act.close:
      return isPositive(id) && isCloseCode(first) && isString(second);
    case Act.attach:
      return isPositive(id) && (first === null || isAttachment(first));
    case Act.subscribe:
    case Act.unsubscribe:
      return isPositive(id) && isTopic(first);
    case Act.publish:
      return isPositive(id) && isTopic(first) && isPayload(second) && isFlag(third);
    case Act.confirm:
    case Act.flush:
      return isPositive(id) && isPositive(first);
    case Act.announce:
      return Number.isInteger(id) && isTopic(first) && isPayload(second) && isFlag(third);
    default:
      return false;
  }
}

function isPositive(value: unknown): boolean {
  return typeof value === "number" && value > 0;
}

function isString(value: unknown): value is string {
  return typeof value === "string";
}

function isFlag(value: unknown): boolean {
  return typeof value === "boolean";
}

function isPayload(value: unknown): boolean {
  return value instanceof Uint8Array && value.length <= MAX_SOCKET_MESSAGE_BYTES;
}

function isAttachment(value: unknown): boolean {
  return value instanceof Uint8Array && value.length <= MAX_ATTACHMENT_BYTES;
}

/** Tells whether a value may name a topic. */
export function isTopic(value: unknown): value is string {
  return isString(value) && value.length > 0 && value.length <= MAX_TOPIC_LENGTH;
}

/** A code that a close frame of a handler may have (RFC 6455 section 7.4), or 1005 for none. */
function isCloseCode(value: unknown): boolean {
  return typeof value === "number" && value >= 1000 && value <= 4999 && value !== 1006;
}
