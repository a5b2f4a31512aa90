import { randomUUID } from "node:crypto";
import { parseUser, users } from "./_users.ts";

/** GET /api/users, GET /api/users?q=ada */
export function GET(request: Request): Response {
  const query = new URL(request.url).searchParams.get("q")?.toLowerCase() ?? "";
  const found = [...users.values()].filter(({ name }) => name.toLowerCase().includes(query));
  return Response.json(found);
}

/** POST /api/users with `{ "name": "Margaret Hamilton" }` */
export async function POST(request: Request): Promise<Response> {
  const user = parseUser(await request.json().catch(() => null));
  if (user === null) {
    return Response.json({ error: 'Expected a JSON object with "name"' }, { status: 400 });
  }
  const id = randomUUID();
  users.set(id, { id, ...user });
  const headers = { location: `/api/users/${id}` };
  return Response.json(users.get(id), { status: 201, headers });
}
