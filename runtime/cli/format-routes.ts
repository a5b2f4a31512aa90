import type { RouteInfo } from "../control/operations.ts";
import { findWonOver } from "../route/won-over.ts";
import { formatTable } from "./format-table.ts";

/** Formats the routes, site by site. Ends with a line feed. */
export function formatRoutes(routes: readonly RouteInfo[]): string {
  if (routes.length === 0) return "no routes\n";
  const sites = [...new Set(routes.map(({ site }) => site))];
  const lines = sites.flatMap((site, at) => {
    const own = routes.filter((route) => route.site === site);
    const wonOver = findWonOver(own.filter(({ use }) => use === "route"));
    const rows = own.map(({ use, methods, pattern, file, pool, settings }) => [
      use === "fallback" ? "not found" : methods.join(",") || "any",
      pattern,
      file,
      pool,
      settings.map(({ name, value }) => `${name}=${value}`).join(" "),
      use === "fallback" ? "" : (wonOver.get(pattern) ?? []).join(" "),
    ]);
    return [
      ...(at > 0 ? [""] : []),
      ...(sites.length > 1 ? [`site ${site}`] : []),
      ...formatTable([["methods", "path", "file", "pool", "settings", "wins over"], ...rows]),
    ];
  });
  return `${lines.join("\n")}\n`;
}
