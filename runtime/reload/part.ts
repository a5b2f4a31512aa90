import type { Manifest } from "../generation/manifest.ts";
import type { Prepared } from "../lib/prepared.ts";
import type { Setup } from "./setup.ts";

/** The change that a start, a reload or a rollback makes. */
export interface Change {
  /** `null`: the server starts. */
  readonly from: Setup | null;
  readonly to: Setup;
  /** The manifest of a generation that is leased. */
  readonly manifest: Manifest;
  /** Why all pools get new workers; `null`: only pools that differ do. */
  readonly renewAll: string | null;
}

/**
 * Prepares the next state of one part of the server: certificates, files, handlers, settings. Returns `null` when the
 * part stays as it is.
 *
 * @throws RuntimeError with the reason to refuse the change. The part has closed all that it opened by then.
 */
export type Part = (
  change: Change,
  options: { signal: AbortSignal },
) => Prepared | null | Promise<Prepared | null>;

/**
 * Prepares all parts, one after the other, and then commits them in one step. If one cannot be prepared, discards those
 * before it, and the server stays as it is.
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
    // Nothing waits from here to the last commit.
    signal.throwIfAborted();
  } catch (error) {
    // An error here would hide the reason for the refusal.
    await Promise.allSettled(prepared.map((next) => next.discard()));
    throw error;
  }
  for (const next of prepared) next.commit();
}
