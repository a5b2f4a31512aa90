/** Facts about a connection of HTTP/2, once a second. */
export interface Http2Facts {
  /** All bytes that the client has sent on the connection. */
  receivedBytes: number;
  /** Bytes up to which nghttp2 has proven, by a PING frame, that it accepts the connection. */
  provenBytes: number;
  /** Size of the heads and bodies of all requests, now and at the last check. */
  requestBytes: number;
  seenRequestBytes: number;
  /** All bytes that the server has written. */
  sentBytes: number;
  /** `sentBytes` when the last PING frame was submitted that should have left by now; `null`: there is none. */
  probedBytes: number | null;
  /** Time for which the client has not answered a PING frame; `null`: it has answered all. */
  unansweredMs: number | null;
  /** Bytes wait for the client, so that a PING frame may wait as well. */
  waits: boolean;
  openStreams: number;
  /** Time since a stream began or ended. */
  quietMs: number;
  keepAliveTimeoutMs: number;
}

/**
 * The treatment of a connection.
 *
 * - `keep`: nothing to do.
 * - `probe`: submit a PING frame, to see whether nghttp2 still writes. After a connection error it has sent GOAWAY and
 *   writes nothing more, and Node neither tells nor closes the socket.
 * - `dead`: nghttp2 has given the connection up, or the client has left without a word.
 * - `flood`: the client sends frames that are no part of requests.
 * - `idle`: no request came for a long time.
 */
export type Http2Treatment = "keep" | "probe" | "dead" | "flood" | "idle";

/**
 * Bytes of frames without content, such as PING, SETTINGS and empty DATA, that a connection may send in total, beside
 * seven times the bytes of its requests. Nginx has the same limit.
 */
const SPARE_BYTES = 1024 * 1024;
const MOST_OVERHEAD = 8;

/**
 * Bytes that the server sends for each byte of a request that they stand for: a client that reads an endless stream, or a
 * WebSocket, sends WINDOW_UPDATE frames and no content. Answers to PING and SETTINGS frames are too small to matter.
 */
const SENT_BYTES = 32;

/**
 * Longest time until a client without streams answers a PING frame. After too many reset streams, nghttp2 sends GOAWAY and
 * Node reads no further: neither the answer nor the end of the client arrives.
 */
const ANSWER_MS = 10_000;

/** Decides about a connection. Pure. */
export function treatConnection(facts: Http2Facts): Http2Treatment {
  const { receivedBytes, requestBytes, probedBytes, unansweredMs, waits } = facts;
  const contentBytes = requestBytes + facts.sentBytes / SENT_BYTES;
  if (receivedBytes / MOST_OVERHEAD > contentBytes + SPARE_BYTES) return "flood";
  if (probedBytes !== null && !waits && facts.sentBytes === probedBytes) return "dead";
  if (facts.openStreams === 0 && unansweredMs !== null && unansweredMs > ANSWER_MS) return "dead";
  if (facts.openStreams === 0 && facts.quietMs > facts.keepAliveTimeoutMs) return "idle";
  const isQuiet = requestBytes === facts.seenRequestBytes;
  const isUnproven = receivedBytes !== facts.provenBytes;
  // nghttp2 may give the connection up before it reads the answer to an earlier PING frame.
  const isAsked = unansweredMs !== null && unansweredMs <= ANSWER_MS;
  return isQuiet && isUnproven && !waits && !isAsked ? "probe" : "keep";
}
