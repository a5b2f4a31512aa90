import type { Context } from "edgicorn";

/** GET /: try /?name=Ada */
export function GET(request: Request, context: Context): Response {
  const name = new URL(request.url).searchParams.get("name") ?? "world";
  context.log.debug({ name }, "greeting");
  return new Response(`Hello, ${name}!\n`);
}
