import { users } from "./_users.ts";

/** GET /api/users, GET /api/users?q=ada */
export function GET(request: Request): Response {
  const query = new URL(request.url).searchParams.get("q")?.toLowerCase() ?? "";
  return Response.json(users.filter(({ name }) => name.toLowerCase().includes(query)));
}
