import { isRuntimeCode, type StackFrame } from "../../lib/stack-frames.ts";

/** `  File "/srv/app.py", line 12 in view`. */
const FRAME = /^ {2}File "(?<file>.*)", line (?<line>\d+) in (?<name>.*)$/;

/** `Thread 0x00007f (most recent call first):`, `Current thread 0x00007f (most recent call first):`. */
const THREAD = /^(?:Current t|T)hread 0x/;

/**
 * Parses the stacks of all threads that Python's module `faulthandler` writes. Pure.
 *
 * @returns The frames of the first thread that runs the application for the worker, innermost first, without the
 *   worker's own. Empty: no thread does, or the text has no stack.
 */
export function parsePythonStack(text: string): StackFrame[] {
  const threads: StackFrame[][] = [];
  for (const line of text.split("\n")) {
    if (THREAD.test(line)) threads.push([]);
    const { file, line: number, name } = FRAME.exec(line)?.groups ?? {};
    if (file === undefined || name === undefined) continue;
    const position = file.startsWith("/") ? { file, line: Number(number), column: null } : null;
    threads.at(-1)?.push({ name, position });
  }
  // Frames of the worker stand below those of the application. A thread that waits for work has only the worker's.
  for (const frames of threads) {
    const own = frames.findIndex(isOwn);
    if (own > 0) return frames.slice(0, own);
  }
  return [];
}

function isOwn({ position }: StackFrame): boolean {
  return position !== null && isRuntimeCode(position.file);
}
