/** The median of some figures and their spread. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** A figure measured in a round. Only figures of the same round are ever compared. */
export interface Sample {
  readonly round: number;
  readonly value: number;
}

/** Returns the spread of some values; `undefined` for none. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const low = sorted[Math.floor((sorted.length - 1) / 2)];
  const high = sorted[Math.floor(sorted.length / 2)];
  const min = sorted[0];
  const max = sorted.at(-1);
  if (low === undefined || high === undefined || min === undefined || max === undefined) {
    return undefined;
  }
  return { median: (low + high) / 2, min, max };
}

/**
 * Returns the spread of `over / under`, taken round by round.
 *
 * A machine that is slower in one round is slower for both, so a paired ratio varies less than the ratio of two
 * medians. Rounds that have only one of the two, or a zero to divide by, do not count.
 */
export function pairedRatio(over: readonly Sample[], under: readonly Sample[]): Spread | undefined {
  const underByRound = new Map(under.map(({ round, value }) => [round, value]));
  const ratios = over.flatMap(({ round, value }) => {
    const divisor = underByRound.get(round);
    return divisor === undefined || divisor === 0 ? [] : [value / divisor];
  });
  return spreadOf(ratios);
}
