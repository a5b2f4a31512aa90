// Commands and flags of other programs (nginx, gunicorn, PM2, Node), and their names in Edgicorn.

/** Commands of other programs, with the end of the message about each. */
const COMMANDS: ReadonlyMap<string, string> = new Map([
  ["restart", 'expected "edgicorn reload", or "edgicorn stop" and then "edgicorn start"'],
  ["serve", 'did you mean "start"?'],
  ["run", 'did you mean "start"?'],
  ["watch", 'did you mean "dev"?'],
  ["test", 'did you mean "check"?'],
  ["quit", 'did you mean "stop"?'],
]);

/** Flags that stand for a command. */
const COMMAND_FLAGS: ReadonlyMap<string, string> = new Map([
  ["-t", "check"],
  ["-T", "check"],
  ["--check-config", "check"],
  ["--watch", "dev"],
  ["--reload", "dev"],
]);

/** Values of `nginx -s`. */
const NGINX_SIGNALS: ReadonlyMap<string, string> = new Map([
  ["reload", "reload"],
  ["stop", "stop"],
  ["quit", "stop"],
]);

const SHORT_FLAGS: ReadonlyMap<string, string> = new Map([
  ["-p", "--http"],
  ["-b", "--http"],
  ["-w", "--workers"],
  ["-i", "--workers"],
  ["-c", "--config"],
]);

/** Returns the end of the message about a command of other programs; `null`: the word is not known. */
export function explainOtherCommand(word: string): string | null {
  return COMMANDS.get(word) ?? null;
}

/**
 * Returns the command that a flag of other programs stands for; `null`: none.
 *
 * @param value The word after the flag: `reload` of `-s reload`.
 */
export function findCommandOfFlag(rawName: string, value: string | null): string | null {
  if (rawName === "-s" && value !== null) return NGINX_SIGNALS.get(value) ?? null;
  return COMMAND_FLAGS.get(rawName) ?? null;
}

/** Returns the long flag that a short one of other programs stands for; `null`: none. */
export function findLongFlag(rawName: string): string | null {
  return SHORT_FLAGS.get(rawName) ?? null;
}
