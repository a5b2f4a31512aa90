import { toEvent } from "../lib/server-sent-event.ts";
import { streamTo, type StreamOptions } from "../live/stream-to.ts";
import { type AdminPage, toText } from "./admin-page.ts";

/** Fields of server-sent events (WHATWG HTML, section 9.2). */
const FIELDS = {
  "content-type": "text/event-stream",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
} as const;

/**
 * Creates the page of snapshots as server-sent events, for the status page.
 *
 * @param watch Adds a reader; `null`: the server starts.
 */
export function createLivePage(watch: () => StreamOptions["watch"] | null): AdminPage {
  return {
    path: "/live",
    methods: ["GET"],
    access: "operator",
    about: "the state of the server each second, as server-sent events",
    answer: () => ({
      contentType: FIELDS["content-type"],
      async stream(response, mayRead) {
        const add = watch();
        if (add === null) return toText(503, "the server starts\n");
        const isSent = await streamTo(response, {
          watch: add,
          fields: FIELDS,
          toText: toEvent,
          mayRead,
        });
        return isSent ? null : toText(503, "too many clients watch this server\n");
      },
    }),
  };
}
