import { LARGEST_MESSAGE_BYTES } from "./web-socket.ts";

/**
 * Pause after which the server pings a silent client. Balancers cut connections that are silent for 60 s, and mobile
 * networks after 30 s.
 */
export const PING_AFTER_MS = 25_000;

/** Number of pings without an answer after which a client counts as lost. */
const MOST_UNANSWERED = 2;

/**
 * Slowest client that is waited for. Bytes that the kernel holds for a slow client arrive before the ping, and its
 * answer comes after as long as they take.
 */
const SLOWEST_BYTES_PER_MS = 4;

/**
 * Shortest wait for an answer after the last ping. A client answers no ping while it sends a message, and is heard at the
 * end of the message: 16 MiB take as long at 64 KB/s.
 */
const LARGE_MESSAGE_MS = LARGEST_MESSAGE_BYTES / 64;

/** The silence of a client. */
export interface Silence {
  /** When the client was last heard. */
  readonly heardMs: number;
  /** Pings since then. */
  readonly pings: number;
  /** When the last of these pings was sent. */
  readonly pingedMs: number;
  /** Bytes that were sent since the client was last heard. */
  readonly sentBytes: number;
}

/**
 * Decides whether a client gets a ping, or counts as lost. Pure.
 *
 * Counts pings and not only time: a process that was stopped for minutes must read the answers that came meanwhile.
 */
export function judgeSilence(
  { heardMs, pings, pingedMs, sentBytes }: Silence,
  nowMs: number,
): "wait" | "ping" | "lost" {
  if (pings === 0) return nowMs - heardMs < PING_AFTER_MS ? "wait" : "ping";
  const sincePingMs = nowMs - pingedMs;
  if (pings < MOST_UNANSWERED) return sincePingMs < PING_AFTER_MS ? "wait" : "ping";
  const patienceMs = Math.max(sentBytes / SLOWEST_BYTES_PER_MS, LARGE_MESSAGE_MS);
  return sincePingMs < PING_AFTER_MS + patienceMs ? "wait" : "lost";
}
