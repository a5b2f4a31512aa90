import type { Context, Next } from "edgicorn";

/** Wraps everything below `/api`: tells browsers how long the handler took, for their network panel. */
export default async function (
  _request: Request,
  _context: Context,
  next: Next,
): Promise<Response> {
  const startedMs = performance.now();
  const response = await next();
  const tookMs = performance.now() - startedMs;
  response.headers.set("server-timing", `handler;dur=${tookMs.toFixed(2)}`);
  return response;
}
