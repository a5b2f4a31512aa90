// Runs a script of `dist/` as its entry does, and then writes V8's code of it:
// `node record.js ENTRY SCRIPT PLACE [ARGUMENT...]`. PLACE is the path at which the script will be.
import { Socket } from "node:net";
import { pathToFileURL } from "node:url";
import { CachedScript } from "../../runtime/lib/cached-script.ts";

const [node = "", , entry = "", path = "", place = "", ...args] = process.argv;
process.argv = [node, entry, ...args];
// The input ends with the build, also if the build is killed.
process.stdin.once("end", () => process.kill(process.pid, "SIGTERM"));
process.stdin.resume();
if (process.stdin instanceof Socket) process.stdin.unref();
const script = new CachedScript(path, place);
process.once("exit", () => script.writeCache(path));
const resolve = (specifier: string): string => import.meta.resolve(specifier);
// The exports of the scripts that scripts/build.mjs compiles. The compiler of handlers has none and runs by itself.
const { runCommandLine } = script.run({
  meta: { url: pathToFileURL(entry).href, resolve },
  importModule: (specifier) => import(specifier),
}) as { runCommandLine?: (args: readonly string[]) => Promise<void> };
await runCommandLine?.(args);
