import { listNamedSites, type SiteConfig } from "../config/sites.ts";

/** Most sites that have their name in the line. */
const MOST_NAMES = 5;

/**
 * Returns the number of the sites beside the default one, with their names, for the line of a check; `null`: there are
 * none.
 */
export function describeSites(config: { sites: readonly SiteConfig[] }): string | null {
  const names = listNamedSites(config).map(({ name }) => name);
  if (names.length === 0) return null;
  const shown = names.length > MOST_NAMES ? names.slice(0, MOST_NAMES - 1) : names;
  const more = names.length > shown.length ? [`${names.length - shown.length} more`] : [];
  const count = names.length === 1 ? "1 site" : `${names.length} sites`;
  return `${count} (${[...shown, ...more].join(", ")})`;
}
