/**
 * The global kind of `Response` with the content of one of another kind: of the packages `undici` or `node-fetch`, of
 * another realm. `null` if `value` is nothing of the sort.
 */
export function adoptResponse(value: unknown): Response | null {
  if (!isForeignResponse(value)) return null;
  const { body, status, statusText, headers } = value;
  return new Response(body, { status, statusText, headers: [...headers] });
}

interface ForeignResponse {
  body: ReadableStream<Uint8Array> | null;
  status: number;
  statusText: string;
  headers: Iterable<[string, string]>;
}

function isForeignResponse(value: unknown): value is ForeignResponse {
  if (Object.prototype.toString.call(value) !== "[object Response]") return false;
  const { body, status, headers } = value as Partial<ForeignResponse>;
  return (
    (body === null || body instanceof ReadableStream) &&
    typeof status === "number" &&
    typeof headers?.[Symbol.iterator] === "function"
  );
}
