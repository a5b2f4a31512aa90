/** Returns the time of the system's monotonic clock, in ms. All processes of a machine share it, and no operator sets it. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
