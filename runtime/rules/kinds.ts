import type { Kind } from "./kind.ts";
import { respond } from "./kinds/respond.ts";

/** All kinds of actions, in the order in which a request passes them, not in the order of the rules. */
export const KINDS: readonly Kind[] = [respond];
