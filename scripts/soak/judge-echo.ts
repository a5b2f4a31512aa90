import type { ClientResponse } from "../../test/helpers/http-client.ts";

/** Compares the answer to a request with the one that it must have. */
export function judgeEcho(
  { status, body }: ClientResponse,
  expected: string,
): { failed: string | null; wrong: string | null } {
  if (status !== 200) return { failed: String(status), wrong: null };
  const text = String(body);
  if (text === expected) return { failed: null, wrong: null };
  return { failed: null, wrong: `${text.slice(0, 50)}, expected ${expected.slice(0, 50)}` };
}
