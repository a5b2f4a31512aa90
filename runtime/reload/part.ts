import type { Manifest } from "../generation/manifest.ts";
import type { Prepared } from "../lib/prepared.ts";
import type { Setup } from "./setup.ts";

/** The change that a start, a reload or a rollback makes. */
export interface Change {
  /** The present setup; `null`: the server starts. */
  readonly from: Setup | null;
  readonly to: Setup;
  /** The manifest of the next generation. The caller holds its lease. */
  readonly manifest: Manifest;
  /** The reason to give all pools new workers; `null`: only pools that differ get new ones. */
  readonly renewAll: string | null;
}

/**
 * Prepares the next state of one part of the server: certificates, files, handlers, settings. Returns `null` when the
 * part does not change.
 *
 * @throws RuntimeError with the reason to refuse the change. The part must first close everything that it opened.
 */
export type Part = (
  change: Change,
  options: { signal: AbortSignal },
) => Prepared | null | Promise<Prepared | null>;

/**
 * Prepares all parts one after the other, then commits them in one step. If a part cannot be prepared, discards the
 * earlier ones, and the server does not change.
 *
 * @throws RuntimeError of the part that refuses the change; the signal's reason.
 */
export async function switchAll(
  parts: readonly Part[],
  change: Change,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const prepared: Prepared[] = [];
  try {
    for (const part of parts) {
      const next = await part(change, { signal });
      if (next !== null) prepared.push(next);
    }
    // From here to the last commit the code is synchronous.
    signal.throwIfAborted();
  } catch (error) {
    // An error here would hide the reason for the refusal.
    await Promise.allSettled(prepared.map((next) => next.discard()));
    throw error;
  }
  for (const next of prepared) next.commit();
}
