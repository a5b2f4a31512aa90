import type { Context } from "edgicorn";
import { users } from "./_users.ts";

/** GET /api/users/2: the brackets in the file's name make `id` a parameter. */
export function GET(_request: Request, { params }: Context<{ id: string }>): Response {
  const user = users.get(params.id);
  if (user === undefined) return notFound(params.id);
  return Response.json(user);
}

/** DELETE /api/users/2 */
export function DELETE(_request: Request, { params }: Context<{ id: string }>): Response {
  return users.delete(params.id) ? new Response(null, { status: 204 }) : notFound(params.id);
}

function notFound(id: string): Response {
  return Response.json({ error: `No user has the id ${id}` }, { status: 404 });
}
