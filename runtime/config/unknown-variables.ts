import { pickNearest } from "../lib/nearest.ts";
import { LAUNCHED_VARIABLE } from "../lib/launched-variable.ts";
import { TAKEOVER_VARIABLE } from "../lib/takeover-variable.ts";
import { findByOtherName } from "./other-names.ts";
import { SETTING_NAMES, environmentName } from "./settings.ts";

const PREFIX = "EDGICORN_";
const OWN: readonly string[] = [
  `${PREFIX}CONFIG`,
  `${PREFIX}ENV_FILE`,
  TAKEOVER_VARIABLE,
  LAUNCHED_VARIABLE,
];

/**
 * Returns a warning for each variable that looks like a setting and is none. An unknown flag or key is an error; a variable
 * is not, since other programs share the environment.
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
