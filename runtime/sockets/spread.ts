/** Time between two steps. */
const STEP_MS = 100;

/** Share of the time in which all are due: the last ones need some of it to end. */
const SHARE = 0.8;

/**
 * Calls back for each item, spread evenly over a time: clients that lose their connection come back at once, and all of
 * them together would be a peak.
 *
 * @returns Stops it. Items without a call get none then.
 */
export function spreadOut<Item>(
  items: readonly Item[],
  { overMs, call }: { overMs: number; call: (item: Item) => void },
): () => void {
  const steps = Math.max(1, Math.floor((overMs * SHARE) / STEP_MS));
  let step = 0;
  let done = 0;
  let timer: NodeJS.Timeout | undefined;
  const next = (): void => {
    step++;
    const due = Math.ceil((items.length * step) / steps);
    for (; done < Math.min(due, items.length); done++) {
      const item = items[done];
      if (item !== undefined) call(item);
    }
    if (done >= items.length) clearInterval(timer);
  };
  next();
  if (done < items.length) timer = setInterval(next, STEP_MS);
  return () => clearInterval(timer);
}
