import type { Context, Next } from "edgicorn";

/** Wraps everything below /api: answers of an API are not for caches. */
export default async function (
  _request: Request,
  _context: Context,
  next: Next,
): Promise<Response> {
  const response = await next();
  response.headers.set("cache-control", "no-store");
  return response;
}
