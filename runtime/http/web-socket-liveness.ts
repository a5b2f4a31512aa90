import { LARGEST_MESSAGE_BYTES } from "./web-socket.ts";

/**
 * Pause after which the server pings a silent client. Balancers cut connections that are silent for 60 s, and mobile
 * networks after 30 s.
 */
export const PING_AFTER_MS = 25_000;

/** Time for the answer to a ping, unless the pause before pings is shorter. */
const ANSWER_MS = 10_000;

/** Number of pings without an answer after which a client counts as lost. */
const MOST_UNANSWERED = 2;

/**
 * Slowest client that is waited for. Bytes that the kernel holds for a slow client arrive before the ping, and its
 * answer comes after as long as they take.
 */
const SLOWEST_BYTES_PER_MS = 4;

/** Slowest client whose large message is waited for. It answers no ping, and is not heard, before the end of the message. */
const SLOWEST_SENDER_BYTES_PER_MS = 64;

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

/** Limits of the silence of a client. */
export interface SilenceLimits {
  /** Silence before the first ping. */
  readonly pingAfterMs?: number | undefined;
  /** Largest message of the client. */
  readonly largestBytes?: number | undefined;
}

/**
 * Decides whether a client gets a ping, or counts as lost. Pure.
 *
 * Counts pings and not only time: a process that was stopped for minutes must read the answers that came meanwhile.
 *
 * With the pause of 25 s, a second ping follows after 10 s. A client counts as lost 10 s later, or once its largest
 * message could have come: at 1 MiB after 52 s of silence, at 16 MiB after 5 minutes.
 */
export function judgeSilence(
  { heardMs, pings, pingedMs, sentBytes }: Silence,
  nowMs: number,
  { pingAfterMs = PING_AFTER_MS, largestBytes = LARGEST_MESSAGE_BYTES }: SilenceLimits = {},
): "wait" | "ping" | "lost" {
  if (pings === 0) return nowMs - heardMs < pingAfterMs ? "wait" : "ping";
  const sincePingMs = nowMs - pingedMs;
  const answerMs = Math.min(pingAfterMs, ANSWER_MS);
  if (pings < MOST_UNANSWERED) return sincePingMs < answerMs ? "wait" : "ping";
  // A message that delays the answers began before the answer to the first ping.
  const patienceMs = Math.max(
    answerMs,
    sentBytes / SLOWEST_BYTES_PER_MS,
    largestBytes / SLOWEST_SENDER_BYTES_PER_MS,
  );
  return sincePingMs < patienceMs ? "wait" : "lost";
}
