import type { PublicFolder } from "../../files/public-folder.ts";
import type { Pages } from "./answer-without-route.ts";
import type { Stage } from "../site.ts";
import type { ParsedTarget } from "../../http/target-path.ts";
import type { RouteFinder } from "../route-finder.ts";

interface Parts {
  files: PublicFolder;
  routes: Pick<RouteFinder, "findGuard">;
}

/** Creates a stage that lets middleware guard the file of a path (`config.files`). It comes before the files. */
export function guardFiles({ files, routes }: Parts): Stage {
  return (client, target) => {
    const guard = routes.findGuard(target);
    const { path, search } = target;
    if (guard === null || path === null) return "next";
    const isFound = files.offer(client, { path, search, use: "file" }, (found) => {
      guard.answerFound(client, target, found);
    });
    return isFound ? "done" : "next";
  };
}

/** Returns the pages of a folder, which middleware guards as it guards files. */
export function guardPages({ files, routes }: Parts): Pages {
  return {
    hasFile: (path) => files.hasFile(path),
    answerWith(client, page, target) {
      const guard = routes.findGuard(target);
      // No middleware can be found for a path that cannot be decoded.
      if (target.path === null) return false;
      if (guard === null) return files.answerWith(client, page);
      return files.offer(client, { ...page, search: "" }, (found) => {
        guard.answerFound(client, target, found);
      });
    },
  };
}

/** Leaves out a stage for paths whose files middleware guards, and for those that cannot be decoded. */
export function unlessGuarded(routes: Parts["routes"], stage: Stage): Stage {
  return (client, target) => (isUnguarded(routes, target) ? stage(client, target) : "next");
}

/** Tells whether no middleware guards the files of a path. False for paths that cannot be decoded. */
export function isUnguarded(routes: Parts["routes"], target: ParsedTarget): boolean {
  return target.path !== null && routes.findGuard(target) === null;
}
