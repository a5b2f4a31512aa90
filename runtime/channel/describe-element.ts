import { inspect } from "node:util";

/** Tells a map from arrays and simple values. */
export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Describes an element of a message in one short line. */
export function describeElement(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (isMap(value)) return "a map";
  return value === null ? "nil" : inspect(value, { maxStringLength: 40, breakLength: Infinity });
}

/** An element of a message after its kind: its name for messages, and the test that it must pass. */
export interface Element {
  name: string;
  isValid: (value: unknown) => boolean;
  expected: string;
}
