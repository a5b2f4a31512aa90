import { type ChildProcess, execFile, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Config } from "../config/config.ts";
import { RuntimeError } from "../lib/errors.ts";
import { LAUNCHED_VARIABLE } from "../lib/launched-variable.ts";
import { type Account, findAccount } from "./account.ts";
import { listSourcePlaces, type SourcePlace } from "./root-sources.ts";
import { type Deputy, exitCodeOf } from "./shutdown.ts";
import type { StartCommand } from "./start-command.ts";

/** Numbers of Linux capabilities (linux/capability.h). */
const CAP = { setgid: 6, setuid: 7, netBindService: 10 } as const;

/** How long a server may take to end at once, before it is killed. */
const KILL_AFTER_MS = 1_000;

/** Facts about this process. */
export interface Identity {
  uid: number;
  gid: number;
  /** Bit mask of its effective capabilities. */
  capabilities: bigint;
}

/**
 * Decides whether this process must start the server as another user.
 *
 * @returns `false`: it runs as that user already.
 * @throws RuntimeError `ERR_CONFIG` when this process may not change its user.
 */
export function mustLaunch(
  account: Account,
  { own, label }: { own: Identity; label: string },
): boolean {
  if (own.uid === account.uid && own.gid === account.gid) return false;
  if (own.uid !== 0) {
    throw new RuntimeError(
      "ERR_CONFIG",
      `Cannot use ${label}: found a process of user ${own.uid} and group ${own.gid}, expected root, which alone can run the server as ` +
        `${account.uid} and ${account.gid} (start it as root, or as that user, or without the setting)`,
    );
  }
  if (has(own, CAP.setuid) && has(own, CAP.setgid)) return true;
  throw new RuntimeError(
    "ERR_CONFIG",
    `Cannot use ${label}: found root without the capabilities SETUID and SETGID, expected both ` +
      "(docker run --cap-add SETUID --cap-add SETGID), or a container that another user starts",
  );
}

/**
 * Returns the arguments of setpriv(1) for an account.
 *
 * The new process keeps one capability: ports below 1024, also for later reloads and upgrades. No program that it
 * starts can gain another.
 */
export function toSetprivArguments(account: Account, own: Identity): string[] {
  const bind = "-all,+net_bind_service";
  const mayBind = has(own, CAP.netBindService);
  const args = ["--reuid", String(account.uid), "--regid", String(account.gid)];
  args.push(account.entry === null ? "--clear-groups" : "--init-groups");
  args.push("--no-new-privs");
  if (mayBind) args.push("--inh-caps", bind, "--ambient-caps", bind);
  return [...args, "--"];
}

/**
 * Starts the server again as the user of the settings, if this process is another user.
 *
 * @returns The server; `null`: this process is that user.
 * @throws RuntimeError `ERR_CONFIG` when there is no such user, when it cannot run this program in this folder, and when it decides
 *   the settings that root reads at the next start.
 */
export async function launchAsUser(
  config: Pick<Config, "user" | "group" | "origins" | "configFile" | "envFiles">,
  { start, signal }: { start: StartCommand; signal: AbortSignal },
): Promise<LaunchedServer | null> {
  const account = await findAccount(config);
  const own = readIdentity();
  const label = config.origins.user ?? "user";
  if (!mustLaunch(account, { own, label })) return null;
  const setpriv = toSetprivArguments(account, own);
  const { configFile, envFiles } = config;
  // The folder, too: the user could create the files.
  const sources = [start.cwd, start.startedIn, ...(configFile === null ? [] : [configFile])];
  const places = listSourcePlaces([...sources, ...envFiles]);
  const ofUser = places.find(({ uid }) => uid === account.uid);
  if (ofUser !== undefined) throw decidesForRoot(account, ofUser.path, "owns");
  await checkAccess({ account, setpriv, start }, places);
  signal.throwIfAborted();
  return new LaunchedServer({ account, setpriv, start });
}

function readIdentity(): Identity {
  const status = readFileSync("/proc/self/status", "utf8");
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0";
  const { getuid, getgid } = process;
  return { uid: getuid?.() ?? -1, gid: getgid?.() ?? -1, capabilities: BigInt(`0x${mask}`) };
}

function has({ capabilities }: Identity, capability: number): boolean {
  return (capabilities & (1n << BigInt(capability))) !== 0n;
}

interface Launch {
  account: Account;
  setpriv: readonly string[];
  start: StartCommand;
}

/** Exit codes of the script for a folder, a program and a file that the user cannot use. */
const OBSTACLES = { folder: 41, program: 42, script: 43 } as const;

/** Exit code of the script for a file or folder that the user can write to, and whose path is on standard error. */
const WRITABLE = 44;

const SCRIPT = [
  `cd -- "$1" 2>/dev/null || exit ${OBSTACLES.folder}`,
  `test -x "$2" || exit ${OBSTACLES.program}`,
  `test -r "$3" || exit ${OBSTACLES.script}`,
  "shift 3",
  // The kernel knows the groups of the user, lists of access rights, and read-only file systems.
  `for each do if test -w "$each"; then printf %s "$each" >&2; exit ${WRITABLE}; fi; done`,
].join("; ");

/** Returns the refusal of a user that would become root at the next start. */
function decidesForRoot(
  { label }: Account,
  path: string,
  how: "owns" | "can write to",
): RuntimeError {
  return new RuntimeError(
    "ERR_CONFIG",
    `Cannot run the server as user ${JSON.stringify(label)}: found that this user ${how} ${path}, expected a folder and settings of root alone: ` +
      "root evaluates the config file and reads .env at each start, so this user would become root " +
      `(chown root ${path}; chmod go-w ${path}; give the user the state folder only)`,
  );
}

/**
 * Refuses a start that Node would only end with a message about its own inside, and one that would make root obey the user.
 *
 * @param places Places that the user must not be able to write to.
 */
async function checkAccess(
  { account, setpriv, start }: Launch,
  places: readonly SourcePlace[],
): Promise<void> {
  const { cwd, command } = start;
  const [program] = command;
  const [, script = program] = process.argv;
  const guarded = places.filter(({ isProtected }) => !isProtected).map(({ path }) => path);
  const args = [...setpriv, "sh", "-c", SCRIPT, "sh", cwd, program, script, ...guarded];
  const { code, output } = await runSetpriv(args);
  if (code === 0) return;
  if (code === WRITABLE) throw decidesForRoot(account, output, "can write to");
  const obstacle = {
    ENOENT: "found no program setpriv, expected that of the package util-linux",
    [OBSTACLES.folder]: `found that this user cannot enter ${cwd}, expected a folder whose path is open to the user`,
    [OBSTACLES.program]: `found that this user cannot run ${program}, expected a Node.js outside of root's own folders`,
    [OBSTACLES.script]: `found that this user cannot read ${script}, expected a program whose path is open to the user`,
  }[String(code)];
  const reason =
    obstacle ?? `setpriv failed (${output}), expected setpriv of util-linux 2.31 or later`;
  throw new RuntimeError(
    "ERR_CONFIG",
    `Cannot run the server as user ${JSON.stringify(account.label)}: ${reason}`,
  );
}

function runSetpriv(
  args: readonly string[],
): Promise<{ code: string | number | undefined; output: string }> {
  return new Promise((resolve) => {
    execFile("setpriv", args, { timeout: 10_000, cwd: "/" }, (error, _stdout, stderr) => {
      if (error === null) resolve({ code: 0, output: "" });
      else resolve({ code: error.code ?? undefined, output: stderr.trim() || error.message });
    });
  });
}

/**
 * A server that this process has started as another user. This process passes signals on, and ends with it.
 *
 * It does nothing else, so it needs no code of the server, and takes no request.
 */
export class LaunchedServer {
  /** Resolves with the exit code for this process. */
  readonly exited: Promise<number>;
  readonly #child: ChildProcess;

  constructor({ account, setpriv, start }: Launch) {
    const { name, home } = account.entry ?? { name: undefined, home: "/" };
    this.#child = spawn("setpriv", [...setpriv, ...start.command], {
      cwd: start.cwd,
      env: {
        ...process.env,
        ...(name !== undefined && { USER: name, LOGNAME: name }),
        HOME: home,
        [LAUNCHED_VARIABLE]: "1",
      },
      // The server notices by the fourth that this process is gone.
      stdio: ["inherit", "inherit", "inherit", "ipc"],
    });
    this.exited = new Promise((resolve, reject) => {
      this.#child.once("exit", (code, signal) => resolve(exitCodeOf({ code, signal })));
      this.#child.on("error", (cause) => {
        // Later errors are signals that did not arrive, which the exit explains.
        if (this.#child.pid !== undefined) return;
        const message = `Cannot run the server as user ${JSON.stringify(account.label)}: ${cause.message}`;
        reject(new RuntimeError("ERR_BOOT_LOOP", message, { cause }));
      });
    });
  }

  pass(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Returns the object that obeys the signals of this process from now on. */
  toDeputy(): Deputy {
    return {
      pass: (signal) => this.pass(signal),
      close: (signal) => {
        this.pass(signal);
        return this.exited;
      },
      force: async (signal) => {
        this.pass(signal);
        const timer = setTimeout(() => this.pass("SIGKILL"), KILL_AFTER_MS);
        await this.exited;
        clearTimeout(timer);
      },
    };
  }
}
