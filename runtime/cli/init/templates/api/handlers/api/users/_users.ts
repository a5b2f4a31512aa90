/** A name that starts with `_` makes no route: the handlers of this folder share this file. */
export interface User {
  id: string;
  name: string;
}

/** In your application: a database. Each worker has its own copy of this, and a reload starts it anew. */
export const users = new Map<string, User>([
  ["1", { id: "1", name: "Ada Lovelace" }],
  ["2", { id: "2", name: "Grace Hopper" }],
]);

/** Returns the user that a request sends, or `null` where the body is something else. */
export function parseUser(body: unknown): Omit<User, "id"> | null {
  if (typeof body !== "object" || body === null || !("name" in body)) return null;
  return typeof body.name === "string" && body.name !== "" ? { name: body.name } : null;
}
