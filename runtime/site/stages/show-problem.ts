import type { HandlerProblem } from "../../lib/developer-page.ts";
import type { ParsedTarget } from "../../http/target-path.ts";
import { answerDeveloper, isNavigation } from "../answer-developer.ts";
import { addField } from "../filters/add-field.ts";
import type { Stage } from "../site.ts";

/** Field that marks answers of the last good version. Its value says why the newest version is not used. */
const STALE_FIELD = "x-edgicorn-stale";

/**
 * Shows the developer why the newest handlers or settings are not used. For development only.
 *
 * Programs and open pages still get answers from the last good version, which are marked as stale. A path without a
 * route always shows the problem, also where a `_404` would answer: the newest files may have that route.
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
