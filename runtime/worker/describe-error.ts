import { describeValue } from "./describe-value.ts";

/** Causes of causes beyond this depth are left out. */
const DEEPEST = 5;

/** Errors of an `AggregateError` beyond this number are counted only. */
const MOST_ERRORS = 5;

/**
 * Describes a thrown value in one line, with all causes: `Error: no database (cause: Error: password wrong)`,
 * `AggregateError: none answered (errors: Error: a; Error: b)`.
 */
export function describeError(error: unknown): string {
  return describe(error, { seen: new Set(), depth: 0 });
}

function describe(error: unknown, { seen, depth }: { seen: Set<Error>; depth: number }): string {
  if (!(error instanceof Error)) return `threw ${describeValue(error)}`;
  seen.add(error);
  const inner = { seen, depth: depth + 1 };
  const causes = depth < DEEPEST ? [describeErrors(error, inner), describeCause(error, inner)] : [];
  return [toHeadline(error), ...causes.filter((each) => each !== "")].join(" ");
}

function toHeadline({ name, message }: Error): string {
  // Node adds where a package lies that is an ES module, which the stack says too.
  const text = message
    .replace(/\s*From \S+\s+Requiring \S+\s*$/, "")
    .replaceAll(/\s*\n\s*/g, " ")
    .trim();
  return text === "" ? name : `${name}: ${text}`;
}

function describeCause(error: Error, inner: { seen: Set<Error>; depth: number }): string {
  const { cause } = error;
  if (cause === undefined) return "";
  if (!(cause instanceof Error)) return `(cause: ${describeValue(cause)})`;
  return inner.seen.has(cause) ? "" : `(cause: ${describe(cause, inner)})`;
}

function describeErrors(error: Error, inner: { seen: Set<Error>; depth: number }): string {
  if (!("errors" in error) || !Array.isArray(error.errors) || error.errors.length === 0) return "";
  const errors: unknown[] = error.errors;
  const shown = errors
    .slice(0, MOST_ERRORS)
    .filter((each) => !(each instanceof Error && inner.seen.has(each)))
    .map((each) => (each instanceof Error ? describe(each, inner) : describeValue(each)));
  const more = errors.length - MOST_ERRORS;
  return `(errors: ${shown.join("; ")}${more > 0 ? `; and ${more} more` : ""})`;
}
