import { realpathSync } from "node:fs";
import { join, relative, sep } from "node:path";

/** The command that starts this program again. */
export interface StartCommand {
  /** The folder of the start, as the operator named it: links are kept. */
  cwd: string;
  /** The same folder at the start, without links. */
  startedIn: string;
  command: readonly [program: string, ...args: string[]];
}

/** Facts of a process about its own start. */
export interface StartFacts {
  execPath: string;
  execArgv: readonly string[];
  argv: readonly string[];
  /** The working directory, without symbolic links. */
  cwd: string;
  /** The variable `PWD`: the folder as the shell or service manager named it. */
  pwd: string | undefined;
}

/**
 * Returns the command that starts this program again, as it is on disk by then.
 *
 * A deployment may move a link (`current` to a newer release). The command of a program that was started below `current`
 * names that link, too. The kernel does not keep this name; the shell has left it in `PWD`. Call it before the link moves.
 */
export function toStartCommand(
  { execPath, execArgv, argv, cwd, pwd }: StartFacts,
  resolveLinks: (path: string) => string = realpathSync,
): StartCommand {
  const folder = pwd !== undefined && leadsTo(pwd, cwd, resolveLinks) ? pwd : cwd;
  const [, script = "", ...args] = argv;
  const isBelow = script.startsWith(cwd + sep);
  const named = isBelow ? join(folder, relative(cwd, script)) : script;
  return { cwd: folder, startedIn: cwd, command: [execPath, ...execArgv, named, ...args] };
}

/** The folder to which the folder of a start command leads by now. */
export type Whereabouts =
  | { kind: "same" }
  /** A link in its path leads to the folder `target` by now. */
  | { kind: "moved"; target: string }
  /** Its path leads to no folder. */
  | { kind: "gone" };

/**
 * Resolves again the folder in which this program was started. A folder that was named without links never moves.
 */
export function findWhereabouts(
  { cwd, startedIn }: Pick<StartCommand, "cwd" | "startedIn">,
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
    // The variable is left over from another folder.
    return false;
  }
}
