import type { TableGuard } from "../route/route-table.ts";
import type { TableFallback } from "./manifest.ts";

/**
 * Returns the middleware that guards files (`config.files`), as fallbacks with `files`. Pure.
 *
 * Only middleware that guards files runs for them: a folder above that does not is left out.
 *
 * @param isGuard Tells whether a module has `config.files: true`.
 * @param display Returns the name of a module for messages.
 */
export function toGuards(
  folders: readonly TableGuard[],
  {
    isGuard,
    display,
  }: { isGuard: (module: number) => boolean; display: (module: number) => string },
): { guards: TableFallback[]; problems: string[] } {
  const guarding = folders.filter(({ module }) => isGuard(module));
  return {
    guards: guarding.map(({ pattern, module, middleware, error, site }) => ({
      pattern,
      module,
      middleware: middleware.filter(isGuard),
      error,
      files: true,
      ...(site !== undefined && { site }),
    })),
    problems: guarding
      .filter(({ isGroup }) => isGroup)
      .map(({ module }) => {
        return `Cannot use ${display(module)}: config.files is true in a folder that only groups, expected a folder that is part of the path`;
      }),
  };
}

/** Warns of middleware that no request runs. It may be meant for files. */
export function describeUnused(
  folders: readonly TableGuard[],
  {
    routes,
    fallbacks,
    nameOf,
  }: {
    routes: readonly { middleware: readonly number[] }[];
    fallbacks: readonly { middleware: readonly number[] }[];
    nameOf: (module: number) => string;
  },
): string[] {
  const used = new Set([...routes, ...fallbacks].flatMap(({ middleware }) => middleware));
  return folders
    .filter(({ module }) => !used.has(module))
    .map(({ module }) => {
      return `${nameOf(module)} wraps nothing: its folder has no route, expected a handler or "export const config = { files: true }" for files`;
    });
}
