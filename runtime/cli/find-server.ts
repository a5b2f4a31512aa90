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

/** Longest wait for a greeting. Only a server with a blocked event loop takes longer. */
const GREETING_MS = 2_000;

/** Most folders, such as releases, that are searched beside the folder to which a link leads. */
const MOST_SIBLINGS = 500;

/** Most neighbours that a line names. */
const MOST_NEIGHBOURS = 3;

/**
 * Finds the state folder of the server to which a command goes. It is the one that `findStateDir` finds. If no server has its
 * state there, and a link leads to the working directory, it is the one of the server that was started through this link
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
 * Whether the server may have its state folder in another release: a link leads to the working directory, and the state
 * folder lies in it.
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
 * Names the servers of the folders beside this one, for an operator whose command found no server, from another release or
 * the wrong folder.
 *
 * @returns A line; `null` when none runs there.
 */
export async function describeNeighbours(stateDir: string, cwd: string): Promise<string | null> {
  const below = relative(cwd, stateDir);
  // Only the neighbours of a project matter: they may be other releases.
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
 * Refuses a reload that would build another folder than the operator's working directory. Such a server shares its state
 * folder with several releases, was not started through the link that leads to them, and so stays in its own folder.
 *
 * @throws RuntimeError `ERR_CONFIG` that names both folders.
 */
export async function refuseOtherFolder(stateDir: string, { cwd, env }: Place): Promise<void> {
  // Elsewhere the state folder alone decides which server gets the command.
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

/** Returns the working directory as the operator's shell names it. */
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

/** Returns `/srv/releases/1/app` and `/srv/releases/2/app` for `/srv/current/app`, where `/srv/current` links to a release. */
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
    // This user may enter the folder, and not read it.
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
    // The folder has two config files, so it is a project.
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
