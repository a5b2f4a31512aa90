import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** The result of a run of Debian's `slowhttptest`. */
export interface SlowHttpTest {
  readonly mode: string;
  /** Whether its own probe was answered to the end. */
  readonly available: boolean;
  /** Its own description of the end. */
  readonly exit: string;
}

/** Slow heads, slow bodies, slow reading. */
const MODES = ["-H", "-B", "-X"] as const;

/** Runs all modes at once, each with this many connections; `null`: the program is not installed. */
export async function runSlowHttpTest(options: {
  readonly port: number;
  readonly connections: number;
  readonly seconds: number;
  /** Target of slow readers. */
  readonly readPath: string;
  readonly bodyPath: string;
}): Promise<readonly SlowHttpTest[] | null> {
  const { port, connections, seconds, readPath, bodyPath } = options;
  const run = async (mode: (typeof MODES)[number]): Promise<SlowHttpTest> => {
    const path = { "-H": "/", "-B": bodyPath, "-X": readPath }[mode];
    const url = `http://127.0.0.1:${port}${path}`;
    const pace = ["-c", String(connections), "-r", "200", "-i", "1", "-x", "8", "-p", "5"];
    // Windows of 512 to 1024 bytes, of which 32 are read each second.
    const reading = mode === "-X" ? ["-w", "512", "-y", "1024", "-n", "1", "-z", "32"] : [];
    const args = [mode, ...pace, ...reading, "-l", String(seconds), "-u", url];
    const timeout = (seconds + 30) * 1000;
    const { stdout } = await promisify(execFile)("slowhttptest", args, { timeout });
    return { mode, ...readSlowHttpTest(stdout) };
  };
  try {
    return await Promise.all(MODES.map(run));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}

/** Parses its output: many states, each printed over the last one, in colours. */
export function readSlowHttpTest(output: string): Omit<SlowHttpTest, "mode"> {
  const plain = output.replaceAll(COLOUR, "");
  const states = [...plain.matchAll(/service available:\s+(YES|NO)/g)].map(([, state]) => state);
  const exit = /Exit status:\s+(.+)/.exec(plain)?.[1]?.trim() ?? "unknown";
  return { available: states.length > 0 && !states.includes("NO"), exit };
}

// oxlint-disable-next-line no-control-regex -- a terminal's colours begin with one.
const COLOUR = /\u001B\[[0-9;]*[A-Za-z]/g;
