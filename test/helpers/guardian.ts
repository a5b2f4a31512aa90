import { type ChildProcess, spawn } from "node:child_process";
import { Socket } from "node:net";

/** Reads `+ TARGET` and `- TARGET` until its input ends. Then it kills the targets that are left. */
const SCRIPT = `
targets=" "
while read -r sign target; do
  case $sign in
    +) targets="$targets$target " ;;
    -) case $targets in
         *" $target "*) targets="\${targets%%" $target "*} \${targets#*" $target "}" ;;
       esac ;;
  esac
done
for target in $targets; do kill -s KILL -- "$target"; done 2>/dev/null
`;

/** Time between two looks for the runner of the tests. */
const LOOK_MS = 1_000;

let input: Socket | null = null;

/**
 * Has a process killed when this one ends without having done so: a run of tests that is killed runs no hooks.
 *
 * A process of its own waits for the end of a pipe. Also SIGKILL ends the pipe, and signals of the terminal do not reach the process.
 *
 * @param target A process id, or a negative one for a group of processes.
 * @returns Call it once the process is gone: another process may then get its id.
 */
export function killAtEnd(target: number): () => void {
  if (input === null) {
    input = startGuardian();
    endWithRunner();
  }
  const to = input;
  to.write(`+ ${target}\n`);
  let isReleased = false;
  return () => {
    if (!isReleased) to.write(`- ${target}\n`);
    isReleased = true;
  };
}

/**
 * Has a child killed in the same way, until it exits.
 *
 * @param options.isGroup The child was started with `detached`: all processes of its group are killed.
 */
export function killChildAtEnd(
  child: ChildProcess,
  { isGroup = false }: { isGroup?: boolean } = {},
): void {
  const { pid } = child;
  // There is no such program.
  if (pid === undefined) return;
  child.once("exit", killAtEnd(isGroup ? -pid : pid));
}

function startGuardian(): Socket {
  const guardian = spawn("/bin/sh", ["-c", SCRIPT], {
    cwd: "/",
    env: {},
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  guardian.unref();
  const { stdin } = guardian;
  if (!(stdin instanceof Socket)) throw new TypeError("a pipe of a process is a socket");
  // Without the guardian, the tests go on as they are.
  guardian.on("error", () => {});
  stdin.on("error", () => {});
  stdin.unref();
  return stdin;
}

/** Ends this process when it runs a file of tests for a runner that is gone: no event tells that. */
function endWithRunner(): void {
  if (process.env["NODE_TEST_CONTEXT"] === undefined) return;
  const { ppid } = process;
  setInterval(() => {
    if (process.ppid !== ppid) process.exit(1);
  }, LOOK_MS).unref();
}
