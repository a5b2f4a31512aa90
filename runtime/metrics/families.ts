import type { Family } from "./family.ts";
import { CRON_FAMILIES } from "./cron-families.ts";
import { QUEUE_FAMILIES } from "./queue-families.ts";
import { POOL_FAMILIES } from "./pool-families.ts";
import { REQUEST_FAMILIES } from "./request-families.ts";
import { SERVER_FAMILIES } from "./server-families.ts";

/** All metrics. `docs/metrics.md` has the same table (`npm run docs` writes it). */
export const FAMILIES: readonly Family[] = [
  ...REQUEST_FAMILIES,
  ...POOL_FAMILIES,
  ...CRON_FAMILIES,
  ...QUEUE_FAMILIES,
  ...SERVER_FAMILIES,
];

/** Returns the name that a query uses: counters end with `_total`. */
export function nameOf({ name, type }: Pick<Family, "name" | "type">): string {
  return type === "counter" ? `${name}_total` : name;
}
