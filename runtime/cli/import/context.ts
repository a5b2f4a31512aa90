import type { LimitZones } from "./nginx-access.ts";
import type { LogFormats } from "./nginx-logs.ts";
import type { Directive } from "./parse-nginx.ts";
import type { Report } from "./report.ts";
import type { Scope } from "./scope.ts";

/** Facts of the whole config that directives refer to. */
export interface Context {
  readonly report: Report;
  /** Names of `upstream` blocks, with their names here; `null`: the group has no server. */
  readonly groups: ReadonlyMap<string, string | null>;
  /** Names of the groups that a proxy uses. */
  readonly usedGroups: Set<string>;
  readonly formats: LogFormats;
  readonly zones: LimitZones;
  /** Tells whether an application takes the place of an upstream; `null`: none does. */
  readonly replaced: ((url: string) => boolean) | null;
}

/** Carries one directive over, or reports that it cannot. */
export type Carry = (directive: Directive, scope: Scope, context: Context) => void;
