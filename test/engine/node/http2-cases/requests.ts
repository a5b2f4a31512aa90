import {
  headers,
  type FieldList,
  type HeadersOptions,
} from "../../../helpers/http2-frames/fields.ts";

/** The pseudo-fields of a plain request. */
export const GET: FieldList = [
  [":method", "GET"],
  [":scheme", "https"],
  [":authority", "localhost"],
  [":path", "/echo"],
];

/** The pseudo-fields of a request with a body. */
export const POST: FieldList = [[":method", "POST"], ...GET.slice(1)];

/** Returns the HEADERS frame of a GET request on stream 1, complete unless the options differ. */
export function get(fields: FieldList = [], options: HeadersOptions = {}): Buffer {
  return headers(1, [...GET, ...fields], { end: true, ...options });
}

/** Returns the HEADERS frame of a POST request on stream 1, whose body follows. */
export function post(fields: FieldList = [], options: HeadersOptions = {}): Buffer {
  return headers(1, [...POST, ...fields], options);
}

/** Returns a GET request on stream 1 in which these pseudo-fields replace others; `null` leaves one out. */
export function getWith(changes: Readonly<Record<string, string | null>>): Buffer {
  const kept = GET.filter(([name]) => changes[name] !== null);
  const changed = kept.map(([name, value]) => [name, changes[name] ?? value] as const);
  const added = Object.entries(changes).flatMap(([name, value]) =>
    value === null || GET.some(([known]) => known === name) ? [] : [[name, value] as const],
  );
  return headers(1, [...changed, ...added], { end: true });
}
