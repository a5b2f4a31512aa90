import { TEMPLATE_NAMES } from "./init/templates.ts";
import { EXERCISE_NAMES, wordOf } from "../drill/exercise-names.ts";

/** Commands that a server executes while it runs. They find it by its state folder. */
export const CONTROL_COMMANDS = [
  "reload",
  "rollback",
  "generations",
  "status",
  "purge",
  "explain",
  "config",
  "routes",
  "recycle",
  "drain",
  "cron",
  "stop",
] as const;

export type ControlCommandName = (typeof CONTROL_COMMANDS)[number];

/** Settings whose flags such a command takes, besides `--config`. */
export const CONTROL_SETTINGS = ["stateDir"] as const;

export type CommandName =
  | "init"
  | "import"
  | "start"
  | "dev"
  | "check"
  | "types"
  | "fetch"
  | "drill"
  | "prune"
  | "logs"
  | "profile"
  | "top"
  | "shadow"
  | "completion"
  | "help"
  | "version"
  | ControlCommandName;

/** The help text of a command. */
export interface CommandText {
  name: CommandName;
  /** Line in the list of all commands. */
  help: string;
  /** Arguments and flags. */
  usage: string;
  /** Lines for the help of this command alone. They fit a terminal. */
  details: readonly string[];
}

/** One entry per command: the parser and the help text read them from here. */
export const COMMANDS: readonly CommandText[] = [
  {
    name: "init",
    help: "make this folder a project: a handler, a config file, scripts",
    usage: `[--template ${TEMPLATE_NAMES.join("|")}]`,
    details: [
      "Writes a handler, edgicorn.config.ts, types and scripts, and says of each file",
      "whether it is new, changed or kept. Asks nothing and replaces nothing: run it",
      "again at any time.",
      "",
      "Templates: hello (one handler, the default), api (JSON), hono (a Hono app),",
      "react (pages that React renders on the server), static (files, no program).",
    ],
  },
  {
    name: "import",
    help: "write a config from nginx.conf, gunicorn.conf.py, wrangler.toml",
    usage: "FILE ... [MODULE:NAME] [--env NAME] [--json]",
    details: [
      "Writes edgicorn.config.ts, and lists each line that has no equivalent, acts in",
      "another way, or leaves something to do. The config file of Nginx may be that of",
      "one site; files that it includes are read. Python evaluates the one of Gunicorn.",
      "With both, the application runs in the workers of this server, not behind a",
      "proxy. MODULE:NAME is the application, if no file names it.",
      "",
      "wrangler.toml, wrangler.json or wrangler.jsonc is a project for Workers, which",
      "then runs as it is. The command also writes handlers/[...path].js, and files of",
      "secrets from .dev.vars. --env takes an environment of the file.",
      "",
      "Exits with 0 when every line is carried over, with 1 when some need a look, with",
      "78 when a file cannot be read. --json prints the config, and writes nothing.",
    ],
  },
  {
    name: "start",
    help: "serve the folder (also without a command)",
    usage: "[MODULE:NAME] [flags]",
    details: [
      "Builds the handlers, starts the workers and serves. SIGTERM or Ctrl+C finish the",
      "requests in flight and end it. Exits with 78 when settings are wrong, with 70",
      "when handlers, certificates or ports cannot be used.",
      "",
      "MODULE:NAME is a Python application, named as for Gunicorn: mysite.wsgi:app.",
    ],
  },
  {
    name: "dev",
    help: "serve while you work: reloads on every save, shows errors",
    usage: "[MODULE:NAME] [flags]",
    details: [
      "As start, with the same ports and settings, and:",
      "",
      "  - A saved file is served at once: handlers and all files that they import,",
      "    the config file, .env. No restart, no lost request.",
      "  - An error is shown in the browser, with its line and column. The page loads",
      "    itself anew when you save. Programs get the same as text.",
      "  - With wrong handlers or settings the last good version serves on. Pages that",
      "    you open show the reason, and so do paths without a route in that version.",
      "    All other answers of handlers carry the field x-edgicorn-stale. dev also",
      "    starts with handlers that do not compile.",
      "  - The 404 page lists the routes, the nearest one first.",
      "  - NODE_ENV is development, unless you set it: libraries warn more, are slower.",
      "",
      "Not for production: error pages show the source.",
    ],
  },
  {
    name: "check",
    help: "find the mistakes that would stop a start or a reload",
    usage: "[MODULE:NAME] [flags]",
    details: [
      "Reads settings and certificates, builds the handlers, loads them in a worker,",
      "and checks whether the ports are free. Opens no port and disturbs no server.",
      "Takes the flags of start. Exits with 0, with 78 when settings are wrong, with",
      "70 when handlers, certificates or ports cannot be used.",
    ],
  },
  {
    name: "types",
    help: "write types of env, routes and their parameters",
    usage: "[--check] [--output FILE] [flags]",
    details: [
      "Writes edgicorn-env.d.ts: types of the bindings that the config file declares,",
      "and of the routes, as the names of their files say. Runs no handler. Variables",
      "have a type if envVariables lists them. A file that was written by hand stays.",
      "",
      "--check writes nothing, and exits with 1 if the file is out of date. Exits with",
      "78 when settings are wrong, and with 70 when names of handlers are.",
    ],
  },
  {
    name: "fetch",
    help: "call a handler once, without a server",
    usage: "PATH [-X METHOD] [-H FIELD] [-d BODY] [--include] [flags]",
    details: [
      "Builds the handlers, runs the one of PATH in a worker with its middleware and",
      "bindings, and prints the body of its answer. PATH may be a URL, whose host",
      "chooses the site. Opens no port. Rules, files and stored answers have no part in",
      'it: "edgicorn explain" tells about these. Logs and console.log go to standard',
      "error.",
      "",
      "-d without -X means POST; -d @FILE sends a file, -d @- standard input. Exits",
      "with 0 for a status below 400 and with 22 from there on; with 78 when settings",
      "are wrong, with 70 when handlers do not load or the answer breaks off.",
    ],
  },
  {
    name: "drill",
    help: "break things on spare ports; count the failures that clients see",
    usage: "[--brief] [--only A,B] [--seconds N] [--path PATH] [flags]",
    details: [
      "Starts the server of a start with the same flags once more, on free ports of",
      "127.0.0.1, kills and freezes workers, breaks deployments, and counts failures of",
      "clients. Exits with 0 when all expectations held, with 1 when not, with 78 when",
      "flags are wrong, with 70 when the handlers cannot be loaded.",
      "",
      "Exercises, for --only:",
      `  ${EXERCISE_NAMES.slice(0, 5).map(wordOf).join(", ")},`,
      `  ${EXERCISE_NAMES.slice(5).map(wordOf).join(", ")}`,
    ],
  },
  {
    name: "reload",
    help: "load settings and handlers anew, without losing a request",
    usage: "[--state-dir DIR] [--config FILE] [--json]",
    details: [
      "As SIGHUP, but waits: prints the pools and settings that changed, and warnings.",
      "A reload that is refused changes nothing, and prints file and line. If the",
      "server was started through a link that leads to another folder by now, the",
      "program starts anew there and takes over (docs/operations.md).",
    ],
  },
  {
    name: "rollback",
    help: "move back to the handlers before, or to those of an id",
    usage: "[ID] [--state-dir DIR] [--config FILE] [--json]",
    details: [
      "Moves to another build as a reload does: to the one of ID, or to the last that",
      'served with different code, also before a restart. "edgicorn generations" lists',
      "the ids. The next reload or start builds the folder again: mend that, too.",
      "A production server never moves to a build of dev.",
    ],
  },
  {
    name: "generations",
    help: "list the builds to which a rollback can move",
    usage: "[--state-dir DIR] [--config FILE] [--json]",
    details: [
      "Lists the builds on disk, newest first: which one serves, which ones dev built,",
      "to which one a rollback moves, and how many requests each has answered since",
      "this server started.",
    ],
  },
  {
    name: "status",
    help: "show the server, its workers and its traffic",
    usage: "[--state-dir DIR] [--config FILE] [--json]",
    details: [
      "Shows problems first; then process id, ports, generation, and the workers with",
      "their present work; connections, requests, answers and percentiles since the",
      "start; limits that acted; slow and failing routes, recent failures and reloads.",
    ],
  },
  {
    name: "purge",
    help: "remove stored answers: of one page, a prefix, a tag, or all",
    usage: "ANSWERS [--state-dir DIR] [--config FILE] [--json]",
    details: [
      "Removes answers from the response cache, with all their variants, and prints how",
      "many. ANSWERS: https://example.com/news for one URL, with all values of its",
      "cookies; 'https://example.com/news/*' (in quotes) for all URLs that begin so;",
      "tag:NAME for all whose field cache-tag names it; or all. Answers that are under",
      "way are not stored any more.",
    ],
  },
  {
    name: "explain",
    help: "tell how the server would answer a request, and why",
    usage: "[METHOD] URL [-H FIELD] [--client ADDRESS] [flags]",
    details: [
      "Asks the running server which site, certificate, rules, file or route get the",
      "request, which rule decides, how the response cache is used, which limits apply",
      "and where each was set. No handler runs, no upstream server is asked, and no",
      "limit counts the request. A service of forwardAuth counts as one that lets the",
      "request pass. URL: https://example.com/path, or a path alone.",
    ],
  },
  {
    name: "config",
    help: "show the settings that hold, and where each was set",
    usage: "[--state-dir DIR] [--config FILE] [--json]",
    details: [
      "Shows each setting with its value and its source: default, config file, file of",
      "variables, environment, flag, or site. Passwords, tokens and the like are shown",
      "as ***. Without a running server: the settings that a start would use.",
    ],
  },
  {
    name: "routes",
    help: "list the routes: site, methods, path, file, pool, own settings",
    usage: "[--state-dir DIR] [--config FILE] [--json]",
    details: [
      "Lists the routes of the running server, and the other routes over which each of",
      "them wins where both match: segment by segment, a text wins over a parameter,",
      'and a parameter over the rest of the path. "edgicorn explain" asks for one URL.',
    ],
  },
  {
    name: "cron",
    help: "list the handlers that run at times, or run one now",
    usage: "[run ROUTE [CRON]] [--state-dir DIR] [--json]",
    details: [
      "Lists each handler with config.schedule: its next run, its last one with result",
      "and duration, and how many runs were left out or missed since the start.",
      "",
      "edgicorn cron run ROUTE runs scheduled() of a handler now and waits for its end.",
      "ROUTE is its path or its file; CRON, in quotes, chooses among several times.",
      "Exits with 0 when the run succeeded, with 70 when not.",
    ],
  },
  {
    name: "logs",
    help: "show access lines, with filters, also as they come",
    usage: "[-f] [-n N] [--status LIST] [--route PATH] [flags]",
    details: [
      "Shows the last access lines of the running server, from its files, and with -f",
      "the lines that come, also after the files were rotated. Each filter may be given",
      "several times. Needs the setting accessLog FILE (or logFile); filters need",
      "accessLogFormat json. --json prints the lines unchanged.",
    ],
  },
  {
    name: "profile",
    help: "record where a running worker spends its time, or memory",
    usage: "WORKER|primary [--heap] [--seconds N] [--output FILE]",
    details: [
      "Records the CPU time of a worker of the running server in a .cpuprofile, or with",
      "--heap all objects of its memory in a .heapsnapshot. WORKER: a number or a",
      "process id of edgicorn status. Chrome's DevTools and Visual Studio Code open",
      "both files. Ctrl+C ends a CPU profile early, and keeps it.",
      "",
      "During a heap snapshot the process stands still, for seconds if it is large, and",
      "takes up to twice its memory. A worker gets no new requests meanwhile; primary",
      "means that all connections wait. Both files may contain secrets: mode 0600.",
    ],
  },
  {
    name: "top",
    help: "watch requests, latency, workers and routes live",
    usage: "[--interval TIME] [--state-dir DIR] [--config FILE] [--json]",
    details: [
      "Follows the running server in a terminal: rates and percentiles of the last",
      "seconds, the queue, and for each worker its oldest request and its age. Keys at",
      "the bottom sort the tables; q ends it. Without a terminal it prints one text,",
      "with --json one snapshot, and with --interval one for each interval.",
      "Exits with 69 when no server runs, and when the server ends.",
    ],
  },
  {
    name: "shadow",
    help: "compare answers with those of an old server, live",
    usage: "URL [--sample N%] [--seconds N] [--ignore FIELDS] [flags]",
    details: [
      "Takes a sample of the GET, HEAD and OPTIONS requests that visitors send to the",
      "running server, asks the old server at URL the same, and prints each difference",
      "of status, fields and body; at the end (Ctrl+C) a summary by route. Visitors",
      "wait for nothing: samples that are too many are dropped, and counted.",
      "",
      "Cookies and Authorization of visitors go to the old server with",
      "--with-credentials only: without it, pages for known users differ.",
      "Exits with 0 when all answers were the same, with 1 when one differed.",
    ],
  },
  {
    name: "recycle",
    help: "replace a worker: it drains once a fresh one serves",
    usage: "WORKER [--state-dir DIR] [--config FILE] [--json]",
    details: [
      'WORKER is the number of a ready worker in "edgicorn status". No request is lost.',
      "Returns at once: status and top show the progress.",
    ],
  },
  {
    name: "drain",
    help: "make readiness probes fail, and serve on; off undoes it",
    usage: "[off] [--state-dir DIR] [--config FILE] [--json]",
    details: [
      "Takes the server out of the rotation of load balancers that ask /readyz or the",
      'path of readyPath. It serves on until "edgicorn drain off" puts it back, or',
      '"edgicorn stop" ends it. A restart puts it back, too.',
    ],
  },
  {
    name: "stop",
    help: "finish the requests in flight, then end",
    usage: "[--state-dir DIR] [--config FILE] [--json]",
    details: ["As SIGTERM, but waits until the process of the server is gone."],
  },
  {
    name: "prune",
    help: "remove binaries of other systems from node_modules",
    usage: "",
    details: [
      "For images: removes the binaries of uWebSockets.js that are not for this system",
      "and this Node, more than 200 MB. Another Node needs an npm ci afterwards.",
    ],
  },
  {
    name: "completion",
    help: "print a script that completes commands and flags in a shell",
    usage: "bash|zsh|fish",
    details: [
      "For bash, in ~/.bashrc: source <(edgicorn completion bash)",
      "For zsh, in a folder of $fpath: edgicorn completion zsh > _edgicorn",
      "For fish: edgicorn completion fish > ~/.config/fish/completions/edgicorn.fish",
    ],
  },
  {
    name: "help",
    help: "show this text, or that of a command",
    usage: "[COMMAND]",
    details: ["The same as edgicorn COMMAND --help."],
  },
  { name: "version", help: "show the version", usage: "", details: [] },
];

/** Returns the command of a name; `null`: there is none. */
export function findCommand(word: string): CommandName | null {
  return COMMANDS.find(({ name }) => name === word)?.name ?? null;
}

/** Returns `Usage: edgicorn rollback [ID] ...`. */
export function formatUsage(command: CommandName): string {
  const { usage } = textOf(command);
  return `Usage: edgicorn ${command} ${usage}`.trimEnd();
}

/** Returns the entry of a command. */
export function textOf(command: CommandName): CommandText {
  const text = COMMANDS.find(({ name }) => name === command);
  if (text === undefined) throw new TypeError(`no text for ${command}`);
  return text;
}

/** Whether the command takes only the flags by which it finds a running server, and its own. */
export function findsServer(command: CommandName): boolean {
  return ["logs", "top", "profile", "shadow"].includes(command) || isControlCommand(command);
}

/** Whether a running server executes the command. */
export function isControlCommand(command: CommandName): command is ControlCommandName {
  return CONTROL_COMMANDS.some((name) => name === command);
}
