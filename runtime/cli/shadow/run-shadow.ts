import type { ConfigSources } from "../../config/config.ts";
import { openStream, readAll } from "../../control/control-client.ts";
import type { ShadowEvent, ShadowSample } from "../../control/shadowing.ts";
import { EXIT } from "../../lib/errors.ts";
import { describeNeighbours, findServer } from "../find-server.ts";
import { askOld } from "./ask-old.ts";
import { compareAnswers, type Difference } from "./compare.ts";
import type { ShadowWish } from "./parse-shadow.ts";
import { formatDifferences, formatSummary, ShadowCounter } from "./summary.ts";

/** Requests that the old server gets at a time. */
const MOST_AT_A_TIME = 8;

/** Exit code when an answer differed. */
const EXIT_DIFFERENT = 1;

export interface ShadowOptions extends Pick<ConfigSources, "flags" | "env" | "cwd"> {
  wish: ShadowWish;
  json: boolean;
  /** Ends the comparison. */
  signal: AbortSignal;
  /** Called once the server takes samples. */
  onBegun: () => void;
  /** Writes to standard output. */
  write: (text: string) => void;
}

/**
 * Compares answers of the running server with those of an old one, until the signal aborts or the time is over. Writes each
 * difference at once, and a summary at the end.
 *
 * @returns Exit code 0 when all answers were the same, 1 when one differed, 69 when the server stops, 70 when the old server answered nothing.
 */
export async function runShadow({
  wish,
  json,
  signal,
  write,
  onBegun,
  ...place
}: ShadowOptions): Promise<{ problem: string; exitCode: number }> {
  const { stateDir } = await findServer(place);
  const { seconds } = wish;
  const timers = seconds === null ? [] : [AbortSignal.timeout(seconds * 1_000)];
  const ending = AbortSignal.any([signal, ...timers]);
  const counter = new ShadowCounter();
  const asking = new Set<Promise<void>>();
  let failure: string | null = null;
  let hasBegun = false;
  const compare = async (sample: ShadowSample): Promise<void> => {
    const answer = await askOld(sample, { ...wish, signal });
    if ("failure" in answer) {
      // The user has ended the comparison.
      if (signal.aborted) return;
      failure = answer.failure;
      counter.add(sample, answer.failure);
      if (json) write(toLine(sample, { failure: answer.failure }));
      return;
    }
    const { status, answerFields, body } = sample;
    const here = { status, fields: answerFields, body };
    const differences = compareAnswers(here, answer, wish);
    counter.add(sample, differences);
    if (json) write(toLine(sample, { differences }));
    else if (differences.length > 0) write(`${formatDifferences(sample, differences)}\n`);
  };
  const onEvent = async (value: unknown): Promise<void> => {
    // The server of this program wrote it, on a socket of its user.
    const event = value as ShadowEvent;
    if (event.type === "begun") {
      hasBegun = true;
      onBegun();
      return;
    }
    const one = compare(event).finally(() => asking.delete(one));
    asking.add(one);
    // The server drops samples meanwhile, and counts them.
    if (asking.size >= MOST_AT_A_TIME) await Promise.race(asking);
  };
  const stream = await openStream(
    stateDir,
    { method: "POST", path: "/shadow", body: wish.request },
    { signal: ending, silenceMs: null },
  );
  const early = stream.kind === "open" ? await readAll(stream.events, onEvent) : stream;
  // The end by a signal, or of the time, is the usual one.
  const answer = ending.aborted || early === null ? ({ kind: "done" } as const) : early;
  await Promise.all(asking);
  const summary = counter.toSummary();
  if (hasBegun) write(json ? `${JSON.stringify({ summary })}\n` : formatSummary(summary));
  if (answer.kind === "refused") {
    return {
      problem: answer.message,
      exitCode: answer.code === "ERR_DRAINING" ? EXIT.unavailable : EXIT.failed,
    };
  }
  if (answer.kind === "unreachable") {
    const isAbsent = answer.why === "none" || answer.why === "stale";
    const neighbours = isAbsent ? await describeNeighbours(stateDir, place.cwd) : null;
    const problem = [answer.message, neighbours ?? []].flat().join("\n");
    return { problem, exitCode: EXIT.unavailable };
  }
  if (summary.compared === 0 && failure !== null) {
    const problem = `Cannot compare: ${wish.old} gave no answer (${String(failure)}), expected the old server`;
    return { problem, exitCode: EXIT.failed };
  }
  return { problem: "", exitCode: summary.different > 0 ? EXIT_DIFFERENT : EXIT.drained };
}

function toLine(
  { method, target, route }: ShadowSample,
  result: { differences: readonly Difference[] } | { failure: string },
): string {
  return `${JSON.stringify({ method, target, route, ...result })}\n`;
}
