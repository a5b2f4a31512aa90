import { pickNearest } from "../lib/nearest.ts";
import { TAKEOVER_VARIABLE } from "../lib/takeover-variable.ts";
import { findByOtherName } from "./other-names.ts";
import { SETTING_NAMES, environmentName } from "./settings.ts";

const PREFIX = "EDGICORN_";
const OWN: readonly string[] = [`${PREFIX}CONFIG`, `${PREFIX}ENV_FILE`, TAKEOVER_VARIABLE];

/**
 * Says which variables look like settings and are none: unlike an unknown flag or key such a one is no error, since an
 * environment is not Edgicorn's alone.
 *
 * @returns A line for each.
 */
export function describeUnknownVariables(
  env: Readonly<Record<string, string | undefined>>,
): string[] {
  const known = [...SETTING_NAMES.map(environmentName), ...OWN];
  const words = known.map((name) => name.slice(PREFIX.length));
  return Object.keys(env)
    .filter((name) => name.startsWith(PREFIX) && !known.includes(name))
    .toSorted()
    .map((name) => {
      // Without the common prefix, which would make all names alike.
      const word = name.slice(PREFIX.length);
      const other = findByOtherName(word);
      const nearest =
        other === null ? pickNearest(word, words) : environmentName(other).slice(PREFIX.length);
      const hint = nearest === null ? "" : `: did you mean ${PREFIX}${nearest}?`;
      return `${name} is no setting and changes nothing${hint}`;
    });
}
