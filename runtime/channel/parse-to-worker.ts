import { RuntimeError } from "../lib/errors.ts";
import { describeElement } from "./describe-element.ts";
import type { ToWorker } from "./messages.ts";
import { Kind } from "./messages.ts";
import { checkVersion } from "./protocol-version.ts";

// Apart from `parse.ts`, which brings zod: a worker boots faster without it.

/**
 * Checks the kind of a message from the primary. Both ends are one program, and their versions were compared first, so
 * the elements need no check.
 *
 * @throws RuntimeError `ERR_PROTOCOL` for an unknown kind or another protocol version.
 */
export function parseToWorker(value: unknown): ToWorker {
  if (!Array.isArray(value)) return refuse(value);
  const kind: unknown = value[0];
  if (kind === Kind.hello) checkVersion(value[1]);
  if (typeof kind !== "number" || !isForWorkers(kind)) return refuse(value);
  // The primary of the same version made it from a `ToWorker`.
  return value as unknown as ToWorker;
}

function isForWorkers(kind: number): boolean {
  if (kind <= Kind.cacheCredit) return kind >= Kind.hello;
  return kind >= Kind.socketAdopt && kind <= Kind.passedOn;
}

function refuse(value: unknown): never {
  const fault = Array.isArray(value)
    ? `of kind ${describeElement(value[0])}, which is unknown`
    : `that is ${describeElement(value)}, expected an array`;
  throw new RuntimeError("ERR_PROTOCOL", `Cannot read a message ${fault}`);
}
