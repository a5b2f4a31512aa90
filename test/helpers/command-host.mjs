// Runs commands of the compiled program one after another, as its parent orders them: `command-host.mjs MAIN`. MAIN is the
// path of `dist/main.js`. Plain JavaScript, since the processes of the program would inherit a loader.
import { readdirSync, readFileSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { Script } from "node:vm";

/** Signals that a command listens to until its process ends. */
const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"];

const [node, , main] = process.argv;
// The compiler runs in the folder in which it was loaded. Those of the commands go with their tests.
createRequire(main)("esbuild");
const runCommandLine = loadProgram();

/** Takes the place of `process.exit`: thrown, it ends the command. */
class Exit extends Error {
  constructor(code) {
    super("the command has ended");
    this.code = code;
  }
}
process.exit = (code = process.exitCode) => {
  throw new Exit(code);
};

process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));
process.on("message", (message) => void run(message));
process.send("loaded");

/** Runs one command line. An error that is none of the command ends this process. */
async function run({ args, cwd, end }) {
  process.chdir(cwd);
  process.argv = [node, main, ...args];
  process.exitCode = undefined;
  try {
    await runCommandLine(args);
  } catch (error) {
    if (!(error instanceof Exit)) throw error;
    process.exitCode = error.code;
  }
  const code = process.exitCode ?? 0;
  process.exitCode = undefined;
  for (const signal of SIGNALS) process.removeAllListeners(signal);
  for (const stream of [process.stdout, process.stderr]) stream.removeAllListeners("error");
  for (const fd of [1, 2]) writeSync(fd, end);
  process.send(code);
}

/** Loads the script as `dist/main.js` does (`runtime/lib/cached-script.ts`). */
function loadProgram() {
  const dist = dirname(main);
  const name = readdirSync(dist).find((each) => /^server-\w+\.cjs$/.test(each));
  const path = join(dist, name);
  const names = "exports,module,require,edgicornMeta,edgicornImport";
  const script = new Script(`(function(${names}){${readFileSync(path, "latin1")}\n})`, {
    filename: path,
  });
  const { href: url } = pathToFileURL(main);
  const module = { exports: {} };
  const meta = { url, resolve: (specifier) => import.meta.resolve(specifier) };
  script.runInThisContext()(module.exports, module, createRequire(url), meta, importModule);
  return module.exports.runCommandLine;
}

function importModule(specifier) {
  return import(specifier);
}
