import { existsSync, lstatSync, readdirSync, realpathSync, statSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { findConfigFile } from "../config/config-file.ts";
import { SETTINGS } from "../config/settings.ts";
import { findStateDir, type FoundStateDir, type StateDirSources } from "../config/state-dir.ts";
import { greetingSchema } from "../control/answers.ts";
import { askControl } from "../control/control-client.ts";
import type { Greeting } from "../control/operations.ts";
import { toControlSocket } from "../control/socket-path.ts";
import { RuntimeError } from "../lib/errors.ts";
import { toStartCommand } from "../server/start-command.ts";

/** Longer than a server takes for its greeting, unless its event loop is blocked. */
const GREETING_MS = 2_000;

/** Folders beside the one that a link leads to: releases. More are not looked through. */
const MOST_SIBLINGS = 500;

/** As many as a line can name. */
const MOST_NEIGHBOURS = 3;

/**
 * Finds the state folder of the server that a command is for: as `findStateDir` says, or, where a link leads to the
 * working directory and no server has its state there, the one of the server that was started through the same link
 * when it led to a folder beside this one.
 *
 * @throws ERR_CONFIG as `findStateDir` does.
 */
export async function findServer(sources: StateDirSources): Promise<FoundStateDir> {
  const found = await findStateDir(sources);
  const { cwd, env } = sources;
  // Ask the servers only if the answer matters.
  if (!mayHaveMoved(found.stateDir, { cwd, env })) return found;
  const running = await findInReleases(found.stateDir, { cwd, env });
  return running === null ? found : { ...found, stateDir: running.stateDir };
}

/**
 * Returns the greeting of the server of a state folder, or of the same folder in another release; `null`: none runs.
 */
export async function findRunning(stateDir: string, cwd: string): Promise<Greeting | null> {
  const sources = { cwd, env: process.env };
  if (!mayHaveMoved(stateDir, sources)) return greet(stateDir);
  return (await findInReleases(stateDir, sources))?.greeting ?? null;
}

type Place = Pick<StateDirSources, "cwd" | "env">;

/**
 * Whether another release may have the state folder of the server: a link leads here, and the folder lies in the
 * release.
 */
function mayHaveMoved(stateDir: string, { cwd, env }: Place): boolean {
  return toLogicalFolder(cwd, env) !== cwd && !relative(cwd, stateDir).startsWith("..");
}

async function findInReleases(
  stateDir: string,
  { cwd, env }: Place,
): Promise<{ stateDir: string; greeting: Greeting } | null> {
  const here = await greet(stateDir);
  if (here !== null) return { stateDir, greeting: here };
  const link = toLogicalFolder(cwd, env);
  for (const folder of findSiblings(link)) {
    const other = join(folder, relative(cwd, stateDir));
    if (folder === cwd || !hasOwnSocket(other)) continue;
    const greeting = await greet(other);
    if (greeting?.folder === link) return { stateDir: other, greeting };
  }
  return null;
}

/**
 * Names the servers of the folders beside this one, for a command that found no server: an operator in another release,
 * or in the wrong folder.
 *
 * @returns A line; `null` when none runs there.
 */
export async function describeNeighbours(stateDir: string, cwd: string): Promise<string | null> {
  const below = relative(cwd, stateDir);
  // Any folder may have a neighbour; only a release has one that matters.
  if (below.startsWith("..") || !isProject(cwd)) return null;
  const sockets = listFolders(dirname(cwd))
    .filter((folder) => folder !== cwd)
    .map((folder) => join(folder, below))
    .filter(hasOwnSocket);
  const greetings = await Promise.all(sockets.slice(0, MOST_NEIGHBOURS).map(greet));
  const shown = greetings.flatMap((greeting) =>
    greeting === null ? [] : [`process ${greeting.pid} serves ${greeting.startedIn}`],
  );
  if (shown.length === 0) return null;
  return (
    `Beside this folder ${shown.join(", and ")}. ` +
    "A deployment that moves a link reaches its server when that was started through the link (docs/operations.md)"
  );
}

/**
 * Refuses a reload that would build another folder than the operator stands in: a server whose state folder several
 * releases share, and that does not know the link through which they are reached, stays where it was started.
 *
 * @throws RuntimeError `ERR_CONFIG` that names both folders.
 */
export async function refuseOtherFolder(stateDir: string, { cwd, env }: Place): Promise<void> {
  // From anywhere else, the state folder alone says which server is meant.
  if (!isProject(cwd)) return;
  const greeting = await greet(stateDir);
  if (greeting === null) return;
  const { folder, startedIn, handlersDir, pid } = greeting;
  if (resolveLinks(folder) === cwd || startedIn === cwd) return;
  // Handlers that the settings name by an absolute path.
  if (resolveLinks(handlersDir)?.startsWith(cwd + sep) === true) return;
  const link = toLogicalFolder(cwd, env);
  throw new RuntimeError(
    "ERR_CONFIG",
    `Cannot reload: found that this folder is ${cwd}, and that process ${pid} was started in ${startedIn}, expected the same folder: ` +
      `a reload would build ${startedIn} again (to follow a link, start the server through it, with PWD=${link === cwd ? "/path/of/the/link" : link} in its environment; ` +
      `"edgicorn stop" and a start serve this folder now)`,
  );
}

/** The working directory as the operator's shell names it. */
function toLogicalFolder(cwd: string, env: StateDirSources["env"]): string {
  return toStartCommand({ ...process, cwd, pwd: env["PWD"] }).cwd;
}

async function greet(stateDir: string): Promise<Greeting | null> {
  const ask = { method: "GET", path: "/", timeoutMs: GREETING_MS } as const;
  const answer = await askControl(stateDir, ask);
  if (answer.kind !== "done") return null;
  const greeting = greetingSchema.safeParse(answer.value);
  return greeting.success ? greeting.data : null;
}

/** `/srv/releases/1/app`, `/srv/releases/2/app` for `/srv/current/app`, where `/srv/current` is a link to a release. */
function findSiblings(logical: string): string[] {
  let link = logical;
  while (!isLink(link)) {
    if (dirname(link) === link) return [];
    link = dirname(link);
  }
  const target = resolveLinks(link);
  if (target === null) return [];
  const rest = relative(link, logical);
  return listFolders(dirname(target)).map((folder) => join(folder, rest));
}

function listFolders(parent: string): string[] {
  try {
    return readdirSync(parent, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .slice(0, MOST_SIBLINGS)
      .map(({ name }) => join(parent, name));
  } catch {
    // A folder that may be entered and not read.
    return [];
  }
}

/** Tells whether a server of this user may run with a state folder: another user's socket must not be trusted. */
function hasOwnSocket(stateDir: string): boolean {
  const stats = statSync(toControlSocket(stateDir), { throwIfNoEntry: false });
  const own = process.getuid?.();
  // Root may command the servers of all users.
  return stats !== undefined && (own === undefined || own === 0 || own === stats.uid);
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}

function isProject(folder: string): boolean {
  if (existsSync(join(folder, SETTINGS.handlers.default))) return true;
  try {
    return findConfigFile(folder) !== null;
  } catch {
    // Two config files: it is one.
    return true;
  }
}

function resolveLinks(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}
