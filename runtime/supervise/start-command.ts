import { realpathSync } from "node:fs";
import { join, relative, sep } from "node:path";

/** How to start this program once more. */
export interface StartCommand {
  cwd: string;
  command: readonly [program: string, ...args: string[]];
}

/** What a process knows about how it was started. */
export interface StartFacts {
  execPath: string;
  execArgv: readonly string[];
  argv: readonly string[];
  /** As the system has it: no symbolic links. */
  cwd: string;
  /** The variable `PWD`: the folder as whoever started it named it. */
  pwd: string | undefined;
}

/**
 * Says how to start this program once more, as it is on disk by then.
 *
 * A deployment that moves a link (`current` to a newer release) means that what was started below `current` is started
 * there again. The system has forgotten the name, the shell has left it in `PWD`. To be called before the link moves.
 */
export function toStartCommand(
  { execPath, execArgv, argv, cwd, pwd }: StartFacts,
  resolveLinks: (path: string) => string = realpathSync,
): StartCommand {
  const folder = pwd !== undefined && leadsTo(pwd, cwd, resolveLinks) ? pwd : cwd;
  const [, script = "", ...args] = argv;
  const isBelow = script.startsWith(cwd + sep);
  const named = isBelow ? join(folder, relative(cwd, script)) : script;
  return { cwd: folder, command: [execPath, ...execArgv, named, ...args] };
}

/** Where the folder of a start command leads by now. */
export type Whereabouts =
  | { kind: "same" }
  /** A link on its way leads to another folder, which is at `target`. */
  | { kind: "moved"; target: string }
  /** It leads nowhere. */
  | { kind: "gone" };

/**
 * Follows the folder in which this program was started once more.
 *
 * @param start.cwd The folder as it was named at the start.
 * @param startedIn The same folder without links, as it was at the start. A folder that was named without links never moves.
 */
export function findWhereabouts(
  { cwd }: Pick<StartCommand, "cwd">,
  startedIn: string,
  resolveLinks: (path: string) => string = realpathSync,
): Whereabouts {
  if (cwd === startedIn) return { kind: "same" };
  try {
    const target = resolveLinks(cwd);
    return target === startedIn ? { kind: "same" } : { kind: "moved", target };
  } catch {
    return { kind: "gone" };
  }
}

function leadsTo(path: string, cwd: string, resolveLinks: (path: string) => string): boolean {
  try {
    return resolveLinks(path) === cwd;
  } catch {
    // A variable that somebody left behind.
    return false;
  }
}
