import {
  type ControlInvocation,
  type LookInvocation,
  type ProfileInvocation,
  parseArguments,
} from "./arguments.ts";
import type { Outcome } from "./control.ts";
import { describeFailure } from "../server/bugs.ts";
import { packageVersion } from "../lib/package-version.ts";

/**
 * Runs one command. Prints failures on standard error, and sets the exit code.
 *
 * Each command loads its own modules only: the time that they take counts for every start.
 */
export async function runCommandLine(argv: readonly string[]): Promise<void> {
  try {
    const invocation = parseArguments(argv);
    const { command } = invocation;
    // A server guards its streams by itself.
    if (command !== "start" && command !== "dev") ignoreGoneReaders();
    switch (invocation.command) {
      case "help": {
        const { formatCommandHelp, formatHelp } = await import("./help.ts");
        process.stdout.write(
          invocation.about === null
            ? formatHelp({ version: packageVersion() })
            : formatCommandHelp(invocation.about),
        );
        return;
      }
      case "version":
        process.stdout.write(`${packageVersion()}\n`);
        return;
      case "init": {
        const { initProject } = await import("./init/init.ts");
        const { template } = invocation;
        process.stdout.write(await initProject({ dir: process.cwd(), template }));
        return;
      }
      case "import": {
        const { runImport } = await import("./import/import.ts");
        const { words, environment, json } = invocation;
        const { cwd, env } = { cwd: process.cwd(), env: process.env };
        const { text, exitCode } = await runImport({ words, environment, json, cwd, env });
        process.stdout.write(text);
        process.exitCode = exitCode;
        return;
      }
      case "start":
      case "dev":
        await (await import("../server/start.ts")).start(invocation);
        return;
      case "check":
        await (await import("./check.ts")).runCheck(invocation);
        return;
      case "shadow": {
        const { runShadow } = await import("./shadow/run-shadow.ts");
        const { flags, json, wish } = invocation;
        const { cwd, env } = { cwd: process.cwd(), env: process.env };
        const percent = `${Number((wish.request.share * 100).toFixed(6))}%`;
        const line = `comparing ${percent} of the safe requests with ${wish.old}; Ctrl+C ends it`;
        const onBegun = (): void => void process.stderr.write(`${line}\n`);
        const own = { flags, json, wish, cwd, env, write: print, onBegun, signal: untilEnded() };
        tell({ text: "", ...(await runShadow(own)) });
        return;
      }
      case "fetch": {
        const { runFetch } = await import("./fetch/run-fetch.ts");
        const { flags, wish } = invocation;
        const { stdin: input, stdout: output } = process;
        const { cwd, env } = { cwd: process.cwd(), env: process.env };
        const own = { flags, wish, input, output, cwd, env, signal: untilEnded() };
        tell({ text: "", ...(await runFetch(own)) });
        return;
      }
      case "types": {
        const { runTypes } = await import("./types/run-types.ts");
        const { flags, check, output } = invocation;
        const { cwd, env } = { cwd: process.cwd(), env: process.env };
        tell(await runTypes({ flags, check, output, cwd, env }));
        return;
      }
      case "drill":
        await (await import("./drill.ts")).runDrill(invocation);
        return;
      case "logs":
        await followLogs(invocation);
        return;
      case "profile":
        await profile(invocation);
        return;
      case "top":
        await followServer(invocation);
        return;
      case "completion": {
        const { formatCompletion } = await import("./completion/format-completion.ts");
        process.stdout.write(formatCompletion(invocation.shell));
        return;
      }
      case "prune":
        (await import("./prune.ts")).runPrune();
        return;
      case "reload":
      case "rollback":
      case "generations":
      case "status":
      case "purge":
      case "explain":
      case "config":
      case "routes":
      case "recycle":
      case "drain":
      case "cron":
      case "stop":
        await tellOutcome(invocation);
    }
  } catch (error) {
    const { text, exitCode } = describeFailure(error);
    process.stderr.write(`${text}\n`);
    process.exit(exitCode);
  }
}

/** Ignores that a reader has gone, as in `edgicorn status | head -1`. */
function ignoreGoneReaders(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
}

/** Aborts at a signal to end, and when the reader of standard output has gone. */
function untilEnded(): AbortSignal {
  const ending = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => ending.abort());
  }
  process.stdout.once("error", () => ending.abort());
  return ending.signal;
}

async function followServer({ flags, json, own }: LookInvocation): Promise<void> {
  const { showTop } = await import("./top/top.ts");
  const { problem, exitCode } = await showTop({
    flags,
    json,
    own,
    env: process.env,
    cwd: process.cwd(),
    signal: untilEnded(),
    output: process.stdout,
    input: process.stdin,
    color: process.stdout.isTTY && process.env["NO_COLOR"] === undefined,
  });
  if (problem !== "") process.stderr.write(`${problem}\n`);
  process.exitCode = exitCode;
}

async function followLogs({ flags, json, own }: LookInvocation): Promise<void> {
  const { showLogs } = await import("./logs/logs.ts");
  const { problem, exitCode } = await showLogs({
    flags,
    json,
    own,
    env: process.env,
    cwd: process.cwd(),
    signal: untilEnded(),
    write: (text) => void process.stdout.write(text),
    color: process.stdout.isTTY && process.env["NO_COLOR"] === undefined,
  });
  if (problem !== "") process.stderr.write(`${problem}\n`);
  process.exitCode = exitCode;
}

async function profile(invocation: ProfileInvocation): Promise<void> {
  const { runProfile } = await import("./profile/profile.ts");
  const ending = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => ending.abort());
  const { text, problem, exitCode } = await runProfile(invocation, {
    env: process.env,
    cwd: process.cwd(),
    signal: ending.signal,
    tell: (line) => void process.stderr.write(`${line}\n`),
  });
  process.stdout.write(text);
  if (problem !== "") process.stderr.write(`${problem}\n`);
  process.exitCode = exitCode;
}

async function tellOutcome(invocation: ControlInvocation): Promise<void> {
  const { runControl } = await import("./control.ts");
  tell(await runControl(invocation, { env: process.env, cwd: process.cwd() }));
}

function print(text: string): void {
  process.stdout.write(text);
}

function tell({ text, problem, exitCode }: Outcome): void {
  process.stdout.write(text);
  if (problem !== "") process.stderr.write(`${problem}\n`);
  process.exitCode = exitCode;
}
