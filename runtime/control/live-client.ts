import { openStream, StreamEnd } from "./control-client.ts";

/** Longest time without a snapshot, of which the server sends one each second. */
const SILENCE_MS = 10_000;

/** A live view of a server, or the reason why there is none. */
export type LiveView =
  | { kind: "open"; snapshots: AsyncGenerator<unknown, void> }
  | { kind: "failed"; isAbsent: boolean; message: string };

/**
 * Asks the server of a state folder to send a snapshot each second. Never rejects. The generator ends when the server ends the
 * connection or is silent, and when the signal aborts.
 */
export async function openLiveView(
  stateDir: string,
  { signal }: { signal: AbortSignal },
): Promise<LiveView> {
  const stream = await openStream(
    stateDir,
    { method: "GET", path: "/live" },
    { signal, silenceMs: SILENCE_MS, answerMs: SILENCE_MS },
  );
  if (stream.kind === "open") return { kind: "open", snapshots: readUntilEnd(stream.events) };
  // Servers of earlier versions have no such command.
  const message =
    stream.kind === "refused" && /^(?:Cannot find|status 404)/.test(stream.message)
      ? "Cannot show the server live: it runs another version, expected that of this command"
      : stream.message;
  const isAbsent =
    stream.kind === "unreachable" && (stream.why === "none" || stream.why === "stale");
  return { kind: "failed", isAbsent, message };
}

/** A server that ends, is killed or stands still is the end of a view, and not a failure. */
async function* readUntilEnd(events: AsyncGenerator<unknown, void>): AsyncGenerator<unknown, void> {
  try {
    yield* events;
  } catch (error) {
    if (!(error instanceof StreamEnd)) throw error;
  }
}
