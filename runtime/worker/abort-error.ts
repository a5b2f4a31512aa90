import type { AbortReason } from "../channel/messages.ts";

/** Returns the reason with which the signal of an exchange aborts. */
export function toAbortError(reason: AbortReason): DOMException {
  switch (reason) {
    case "client-left":
      return new DOMException("The client left, or was cut off", "AbortError");
    case "body-too-large":
      return new DOMException("The request body is longer than its limit", "AbortError");
    case "deadline":
      return new DOMException("The deadline of the request has passed", "TimeoutError");
    case "shutdown":
      return new DOMException("The server shuts down", "AbortError");
    case "retired":
      return new DOMException("The worker is replaced", "AbortError");
  }
}
