import { relative } from "node:path";
import type { Context } from "../api.ts";
import { describeError } from "./describe-error.ts";
import type { SourcePosition } from "./error-location.ts";
import type { LoadedRoute } from "./route-table.ts";

/** Reports the failure of a handler to the primary. A report that fails must not change the answer. */
export function reportFailure(
  { context, route }: { context: Context; route: LoadedRoute },
  {
    error,
    handler,
    position,
  }: { error: unknown; handler: string; position: SourcePosition | null },
): void {
  const { onFailure, cwd } = route.rules;
  if (onFailure === undefined) return;
  try {
    const place = position === null ? null : `${relative(cwd, position.file)}:${position.line}`;
    const { requestId } = context;
    onFailure({ requestId, message: describeError(error), handler, place });
  } catch (problem) {
    context.log.debug({ err: problem }, "a failure could not be reported");
  }
}
