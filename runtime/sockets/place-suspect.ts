/** Longest wait of a suspect for a worker that has nothing else to do. */
export const PATIENCE_MS = 1_000;

/** A ready worker, as the choice for a suspect sees it. */
export interface SuspectPlace {
  readonly isKept: boolean;
  /** Number of WebSockets with events that it has not confirmed. */
  readonly busy: number;
  /** How long it has had a suspect; `null`: it has none. */
  readonly runsForMs: number | null;
}

/**
 * The next step for a suspect. `keep`: the worker gets no other events from now on. `open`: it gets them again, since too
 * few other workers are left.
 */
export type SuspectStep<Place> =
  | { readonly do: "run" | "keep" | "open"; readonly at: Place }
  | { readonly do: "wait" };

/**
 * Decides the next step for the first suspect of a pool. Pure.
 *
 * - Up to half of the workers are kept for suspects. A kept worker has one suspect at a time, and nothing else.
 * - An only worker is not kept: other WebSockets would wait. After `PATIENCE_MS`, in which a second worker may become
 *   ready, suspects run beside the others, one at a time.
 * - A suspect whose function takes longer than `PATIENCE_MS` does not hold up the next one.
 *
 * @param waitedMs How long the suspect has waited.
 */
export function placeSuspect<Place extends SuspectPlace>(
  places: readonly Place[],
  waitedMs: number,
): SuspectStep<Place> {
  const isPatient = waitedMs < PATIENCE_MS;
  const mostKept = Math.floor(places.length / 2);
  const kept = places.filter(({ isKept }) => isKept);
  const [first] = kept;
  if (first !== undefined && kept.length > mostKept) return { do: "open", at: first };
  const free = kept.find((place) => mayRun(place) && (place.busy === 0 || !isPatient));
  if (free !== undefined) return { do: "run", at: free };
  const next = leastBusy(places.filter(({ isKept }) => !isKept));
  if (next !== null && kept.length < mostKept) return { do: "keep", at: next };
  const [only] = places;
  const isOnly = places.length === 1 && only !== undefined;
  if (isOnly && !isPatient && mayRun(only)) return { do: "run", at: only };
  return { do: "wait" };
}

/** Tells whether a worker may get the next suspect. */
export function mayRun({ runsForMs }: Pick<SuspectPlace, "runsForMs">): boolean {
  return runsForMs === null || runsForMs >= PATIENCE_MS;
}

function leastBusy<Place extends SuspectPlace>(places: readonly Place[]): Place | null {
  let best: Place | null = null;
  for (const place of places) if (best === null || place.busy < best.busy) best = place;
  return best;
}
