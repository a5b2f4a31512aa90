import { CHANGES_PATH } from "../../lib/html-page.ts";
import type { Stage } from "../site.ts";

const FIELDS = "content-type\ntext/plain; charset=utf-8\ncache-control\nno-store";

/**
 * Answers the request with which an open development page asks for new builds. For development only.
 *
 * @param buildCount Returns the number of reloads, with refused ones.
 */
export function tellChanges(buildCount: () => number): Stage {
  return (client, { pathname }) => {
    if (pathname !== CHANGES_PATH) return "next";
    const body = `${process.pid}.${buildCount()}`;
    client.reply({ status: 200, statusText: "", fields: FIELDS, body, lengthBytes: null });
    return "done";
  };
}
