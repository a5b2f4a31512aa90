import type { Reply } from "../../http/reply.ts";
import { ALLOW } from "../refusal-page.ts";

/** The answer to `OPTIONS *`, which asks about the server as a whole (RFC 9110 section 9.3.7). */
export const OPTIONS_REPLY: Reply = {
  status: 200,
  statusText: "",
  fields: `allow\n${ALLOW}`,
  body: null,
  lengthBytes: null,
};
