import { realpathSync, type Stats, statSync } from "node:fs";
import { dirname } from "node:path";

/** A file or folder on the way to a source. */
export interface SourcePlace {
  readonly path: string;
  readonly uid: number;
  /** Only an owner may rename the files in it (the sticky bit), and the next place on the way belongs to root. */
  readonly isProtected: boolean;
}

/**
 * Returns the places on the ways to files, without doubles: each file, and all folders above it, by its name and by the name without
 * links. A user that may write to one of them decides the content of the file.
 */
export function listSourcePlaces(paths: readonly string[]): SourcePlace[] {
  const found = new Map<string, SourcePlace>();
  for (const path of paths.flatMap((each) => [each, ...toRealPath(each)])) {
    let below: Stats | null = null;
    for (let at = path; ; at = dirname(at)) {
      const stats = statSync(at, { throwIfNoEntry: false });
      if (stats !== undefined) {
        const isProtected = (stats.mode & STICKY) !== 0 && below?.uid === 0;
        const known = found.get(at);
        found.set(at, {
          path: at,
          uid: stats.uid,
          isProtected: isProtected && known?.isProtected !== false,
        });
      }
      below = stats ?? null;
      if (at === dirname(at)) break;
    }
  }
  return [...found.values()];
}

const STICKY = 0o1000;

function toRealPath(path: string): string[] {
  try {
    return [realpathSync(path)];
  } catch {
    // The file has vanished: its folders count.
    return [];
  }
}
