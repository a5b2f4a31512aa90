import { createHash } from "node:crypto";
import type { Manifest } from "./manifest.ts";

/** Enough digits to distinguish the generations of one server. */
const DIGITS = 8;

/** Identifies a generation's code: equal for two that were built of the same handlers and packages, at any time. */
export function hashCode({ modules, routes, fallbacks, packages }: Manifest): string {
  const code = {
    modules: modules.map(({ source, hash }) => [source, hash]),
    // Numbers of modules mean the same where the modules are the same.
    routes,
    fallbacks,
    packages: modules.some(({ usesPackages }) => usesPackages) ? packages : null,
  };
  return createHash("sha256").update(JSON.stringify(code)).digest("hex").slice(0, DIGITS);
}
