/**
 * Returns the first items of an order, sorted. Takes one comparison for most items, where a sort of all takes a dozen. Items that are
 * equal keep their order.
 *
 * @param most Number of items, at least 1.
 * @param compare Negative: the first item comes first.
 */
export function pickMost<T>(
  items: Iterable<T>,
  most: number,
  compare: (one: T, other: T) => number,
): T[] {
  const picked: T[] = [];
  for (const item of items) {
    const last = picked.at(-1);
    const isFull = picked.length === most;
    if (isFull && last !== undefined && compare(item, last) >= 0) continue;
    let low = 0;
    let high = picked.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = picked[middle];
      if (other !== undefined && compare(item, other) < 0) high = middle;
      else low = middle + 1;
    }
    if (isFull) picked.pop();
    picked.splice(low, 0, item);
  }
  return picked;
}
