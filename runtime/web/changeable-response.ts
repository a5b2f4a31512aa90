import { nativeMethod, NativeHeaders, NativeResponse } from "./native.ts";
import { responseState } from "./response-state.ts";

/**
 * Makes the header fields of a response changeable, if they are not.
 *
 * By the Fetch Standard the fields of `Response.redirect()` and of the result of `fetch()` are immutable. A middleware
 * gets such responses from `next()` like all others, and middleware exists to set fields of any response. The response
 * stays the same object, with its `url` and body, and gets `headers` of its own.
 *
 * @returns The same object.
 */
export function toChangeable(response: Response): Response {
  // Nearly all calls end here: the fields of a fast response can be changed.
  if (responseState(response) !== undefined) return response;
  const { headers } = response;
  try {
    headers.delete(PROBE);
  } catch {
    giveHeaders(response, headers);
  }
  return response;
}

/** A field that no response has. Deleting it changes nothing, and throws if the fields are immutable. */
const PROBE = "edgicorn-probe";

const nativeClone = nativeMethod(NativeResponse.prototype, "clone");

function giveHeaders(response: Response, fields: Headers): void {
  const headers = new NativeHeaders(fields);
  const writable = { configurable: true, enumerable: false, writable: true };
  Object.defineProperties(response, {
    headers: { ...writable, value: headers },
    // Node's own would copy the fields as they were.
    clone: {
      ...writable,
      value(): Response {
        // The cast is true: cloning a response returns a response.
        const clone = nativeClone.call(response) as Response;
        giveHeaders(clone, headers);
        return clone;
      },
    },
  });
}
