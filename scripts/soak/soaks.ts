import { slowClients } from "./slow-clients.ts";
import { exchanges } from "./exchanges.ts";
import type { Soak } from "./soak.ts";

/** All soaks; run side by side, the longest begin first. */
export const SOAKS: readonly Soak[] = [exchanges, slowClients];
