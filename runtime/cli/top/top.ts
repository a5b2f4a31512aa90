import type { ReadStream, WriteStream } from "node:tty";
import { parseDurationMs } from "../../config/units.ts";
import { openLiveView } from "../../control/live-client.ts";
import { EXIT, RuntimeError } from "../../lib/errors.ts";
import { isSnapshot, type LiveSnapshot } from "../../live/snapshot.ts";
import type { ControlInvocation } from "../arguments.ts";
import { describeNeighbours, findServer } from "../find-server.ts";
import type { OwnValues } from "../own-flags.ts";
import { formatTop } from "./format-top.ts";
import { describeKeys, FIRST_ORDER, type Order, reorder } from "./order.ts";
import { Screen } from "./screen.ts";

/** Shortest interval: the server sends a snapshot each second. */
const LEAST_MS = 1_000;

/** Width of the text where there is no terminal. */
const TEXT_COLUMNS = 160;

const CONTROL_C = "\u0003";

export interface TopCommand extends Pick<ControlInvocation, "flags" | "json"> {
  own: OwnValues;
  env: Readonly<Record<string, string | undefined>>;
  cwd: string;
  /** Ends the command, as `q` does. */
  signal: AbortSignal;
  output: Pick<WriteStream, "write" | "isTTY"> & Partial<WriteStream>;
  input: ReadStream;
  color: boolean;
}

interface Outcome {
  problem: string;
  exitCode: number;
}

/**
 * Shows the running server: in a terminal as a screen that follows it, otherwise as one text or as JSON.
 *
 * @returns The exit code, with the problem for standard error.
 * @throws RuntimeError `ERR_CONFIG` for a wrong interval.
 */
export async function showTop(command: TopCommand): Promise<Outcome> {
  const { flags, env, cwd, own, json, output } = command;
  const intervalMs = readInterval(own);
  const { stateDir } = await findServer({ flags, env, cwd });
  const ending = new AbortController();
  const signal = AbortSignal.any([command.signal, ending.signal]);
  const view = await openLiveView(stateDir, { signal });
  if (view.kind === "failed") {
    const neighbours = view.isAbsent ? await describeNeighbours(stateDir, cwd) : null;
    const problem = [view.message, ...(neighbours === null ? [] : [neighbours])].join("\n");
    return { problem, exitCode: EXIT.unavailable };
  }
  const known = checkSnapshots(view.snapshots);
  try {
    if (json || !output.isTTY) return await print(known, command, intervalMs);
    // With `isTTY` it is the stream of a terminal.
    return await follow(known, { ...command, output: output as WriteStream, ending, intervalMs });
  } finally {
    ending.abort();
  }
}

/** Prints the first snapshot that has rates, or one for each interval. */
async function print(
  snapshots: AsyncIterable<LiveSnapshot>,
  { json, output, signal, color }: TopCommand,
  intervalMs: number | null,
): Promise<Outcome> {
  let nextMs = 0;
  for await (const snapshot of snapshots) {
    if (snapshot.windowMs === 0) continue;
    if (intervalMs === null) {
      output.write(json ? `${JSON.stringify(snapshot, null, 2)}\n` : toText(snapshot, color));
      return { problem: "", exitCode: EXIT.drained };
    }
    const nowMs = performance.now();
    if (nowMs < nextMs) continue;
    // The server sends each second, and its timer may be early.
    nextMs = nowMs + intervalMs - LEAST_MS / 2;
    output.write(json ? `${JSON.stringify(snapshot)}\n` : `${toText(snapshot, color)}\n`);
  }
  return toEnd(signal);
}

/** Follows the server on the whole terminal, until a key or a signal ends it. */
async function follow(
  snapshots: AsyncIterable<LiveSnapshot>,
  {
    output,
    input,
    color,
    signal,
    ending,
    intervalMs,
  }: TopCommand & { output: WriteStream; ending: AbortController; intervalMs: number | null },
): Promise<Outcome> {
  let order: Order = FIRST_ORDER;
  let last: LiveSnapshot | null = null;
  const screen = new Screen({
    output,
    input,
    onKey(key) {
      if (key === "q" || key === CONTROL_C) ending.abort();
      order = reorder(order, key);
      draw();
    },
  });
  const draw = (): void => {
    if (last === null) return;
    const { columns, rows } = screen;
    screen.draw(
      formatTop(last, { columns, rows, order, color, footer: describeKeys(order, columns) }),
    );
  };
  screen.open();
  output.on("resize", draw);
  try {
    let nextMs = 0;
    for await (const snapshot of snapshots) {
      const nowMs = performance.now();
      if (last !== null && nowMs < nextMs) continue;
      nextMs = nowMs + (intervalMs ?? LEAST_MS) - LEAST_MS / 2;
      last = snapshot;
      draw();
    }
  } finally {
    output.off("resize", draw);
    screen.close();
  }
  return toEnd(AbortSignal.any([signal, ending.signal]));
}

/** @throws RuntimeError `ERR_PROTOCOL` for snapshots of another form. */
async function* checkSnapshots(values: AsyncIterable<unknown>): AsyncGenerator<LiveSnapshot, void> {
  for await (const value of values) {
    if (!isSnapshot(value)) {
      throw new RuntimeError(
        "ERR_PROTOCOL",
        "Cannot show the server live: it runs another version, expected that of this command",
      );
    }
    yield value;
  }
}

function toEnd(signal: AbortSignal): Outcome {
  return signal.aborted
    ? { problem: "", exitCode: EXIT.drained }
    : { problem: "the server has ended, or dropped this slow reader", exitCode: EXIT.unavailable };
}

function toText(snapshot: LiveSnapshot, color: boolean): string {
  const options = { columns: TEXT_COLUMNS, rows: null, order: FIRST_ORDER, footer: null };
  return `${formatTop(snapshot, { ...options, color }).join("\n")}\n`;
}

function readInterval(own: OwnValues): number | null {
  const value = own["interval"]?.at(-1);
  if (value === undefined) return null;
  const ms = parseDurationMs(value);
  if (ms !== null && ms >= LEAST_MS) return ms;
  throw new RuntimeError(
    "ERR_CONFIG",
    `Cannot use --interval: found "${value}", expected a time from 1s on, such as 5s`,
  );
}
