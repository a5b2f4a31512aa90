import { CHANGES_PATH } from "../../lib/html-page.ts";
import type { Stage } from "../site.ts";

const FIELDS = "content-type\ntext/plain; charset=utf-8\ncache-control\nno-store";

/**
 * Answers pages that ask whether the handlers were built since the page was shown. For development only.
 *
 * @param buildCount Counts reloads, also refused ones.
 */
export function tellChanges(buildCount: () => number): Stage {
  return (client, { pathname }) => {
    if (pathname !== CHANGES_PATH) return "next";
    const body = `${process.pid}.${buildCount()}`;
    client.reply({ status: 200, statusText: "", fields: FIELDS, body, lengthBytes: null });
    return "done";
  };
}
