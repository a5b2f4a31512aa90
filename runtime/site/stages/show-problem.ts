import type { HandlerProblem } from "../../lib/developer-page.ts";
import type { ParsedTarget } from "../../http/target-path.ts";
import { answerDeveloper, isNavigation } from "../answer-developer.ts";
import { addField } from "../filters/add-field.ts";
import type { Stage } from "../site.ts";

/** Name of a field of development: the last good version answers, and the value says why the newest one does not. */
const STALE_FIELD = "x-edgicorn-stale";

/**
 * Shows the developer why the newest handlers or settings do not serve. For development only.
 *
 * Programs and open pages still use the routes of the last good version, and their answers are marked as stale. For a
 * path without a route every client gets the problem, also where a `_404` would answer: the newest files may have that
 * route.
 */
export function showProblem(
  problem: () => HandlerProblem | null,
  hasRoute: (target: ParsedTarget) => boolean,
): Stage {
  return (client, target) => {
    const found = problem();
    if (found === null) return "next";
    if (isNavigation(client.head) || !hasRoute(target)) {
      answerDeveloper(client, { status: 500, ...found });
      return "done";
    }
    addField(client, STALE_FIELD, found.stale);
    return "next";
  };
}
