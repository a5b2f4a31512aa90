import { copyHeaders, parseFields } from "./fields.ts";
import { NativeResponse } from "./native.ts";
import { Existing, markAsUncloneable } from "./object-identity.ts";
import { isUsable, openStream, type ResponseBody } from "./response-body.ts";

/**
 * The state of a fast response.
 *
 * `fields` counts until the first use of `headers`. From then on `headers` counts, even when there is a `real` object.
 * `body` counts until `real` exists, which then holds the body's stream.
 */
export interface ResponseState {
  readonly status: number;
  readonly statusText: string;
  readonly fields: string;
  readonly body: ResponseBody | null;
  headers: Headers | null;
  real: Response | null;
}

/** Returns the state of a fast response; `undefined` for anything else. */
export function responseState(value: unknown): ResponseState | undefined {
  return Slot.of(value);
}

/** Makes `target`, whose prototype chain has Node's `Response.prototype`, a fast response. */
export function attachResponse(target: object, state: ResponseState): void {
  // oxlint-disable-next-line no-new -- it marks `target`
  new Slot(target, state);
  markAsUncloneable(target);
}

/** Creates a fast response of `Response` itself, not of a subclass. */
export function createResponse(state: ResponseState): object {
  const response = new Shell();
  attachResponse(response, state);
  return response;
}

export function headersOf(state: ResponseState): Headers {
  return (state.headers ??= parseFields(state.fields));
}

/** Returns Node's own object for a fast response, with its present fields. */
export function materialise(state: ResponseState): Response {
  if (state.real !== null) {
    const { headers, real } = state;
    if (headers !== null && headers !== real.headers) copyHeaders(headers, real.headers);
    return real;
  }
  const { status, statusText, body } = state;
  const headers = state.headers ?? parseFields(state.fields);
  // Node accepts no stream that is in use. It may be released again, so this object is for one call only.
  if (body !== null && !isUsable(body)) return createUsedResponse({ status, statusText, headers });
  // As a stream: for a string Node would add a `content-type`, which the handler may have removed.
  const stream = body === null ? null : openStream(body);
  state.real = new NativeResponse(stream, { status, statusText, headers });
  state.headers ??= state.real.headers;
  return state.real;
}

function createUsedResponse(init: ResponseInit): Response {
  const response = new NativeResponse(new Uint8Array(1), init);
  response.arrayBuffer().catch(ignore);
  return response;
}

class Slot extends Existing {
  readonly #state: ResponseState;

  constructor(target: object, state: ResponseState) {
    super(target);
    this.#state = state;
  }

  static of(value: unknown): ResponseState | undefined {
    return typeof value === "object" && value !== null && #state in value
      ? value.#state
      : undefined;
  }
}

// An ordinary function, unlike a class, can be given its prototype; three times faster than `Object.create`.
const Shell = function (): void {} as unknown as new () => object;
Shell.prototype = NativeResponse.prototype;

function ignore(): void {
  // Reading bytes that are at hand does not fail.
}
