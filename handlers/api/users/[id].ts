import type { Context } from "edgicorn";
import { users } from "./_users.ts";

/** GET /api/users/2: the brackets in the file's name make `id` a parameter. */
export function GET(_request: Request, { params }: Context<{ id: string }>): Response {
  const user = users.find(({ id }) => id === params.id);
  if (user === undefined) {
    return Response.json({ error: `No user has the id ${params.id}` }, { status: 404 });
  }
  return Response.json(user);
}
