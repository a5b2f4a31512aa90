import { listTokens } from "../lib/list-tokens.ts";

/** The extension that compresses messages (RFC 7692 section 7). */
const NAME = "permessage-deflate";

/** Window bits of zlib: the largest window, and the smallest one that it can compress with. */
const LARGEST_WINDOW = 15;
const SMALLEST_WINDOW = 9;

/**
 * Size from which messages are compressed. Each message is compressed alone, so a smaller one hardly shrinks, and
 * takes as long as a packet.
 */
const LEAST_BYTES = 1024;

/**
 * Size up to which messages are compressed. The event loop stands still meanwhile, and a compressed message leaves
 * whole: a slow client shows no progress until all of it has left.
 */
const MOST_BYTES = 256 * 1024;

/** Parameters of the extension that client and server agreed on. Neither side keeps a context between messages. */
export interface AgreedDeflate {
  /** Window bits with which the server compresses, 9 to 15. */
  readonly windowBits: number;
  /** Value of the field `Sec-WebSocket-Extensions` of the answer. */
  readonly answer: string;
}

/** Returns whether a message of this size is sent compressed, where the client agreed. */
export function isWorthDeflating(bytes: number): boolean {
  return bytes >= LEAST_BYTES && bytes <= MOST_BYTES;
}

/**
 * Chooses the first offer of permessage-deflate that the server can accept (RFC 7692 sections 5 and 7.1). Pure.
 *
 * The answer always has both `no_context_takeover` parameters, which a server may add: an idle WebSocket then needs no
 * memory for compression.
 *
 * @param offers Value of the field `Sec-WebSocket-Extensions` of the request; `undefined`: it has none.
 * @param options.limitsWindow The engine can compress with a smaller window. Otherwise it declines
 *   `server_max_window_bits`.
 * @returns `null`: there is no such offer, and the server declines the extension.
 */
export function agreeOnDeflate(
  offers: string | undefined,
  { limitsWindow }: { limitsWindow: boolean },
): AgreedDeflate | null {
  if (offers === undefined) return null;
  for (const offer of listTokens(offers)) {
    const agreed = readOffer(offer, limitsWindow);
    if (agreed !== null) return agreed;
  }
  return null;
}

function readOffer(offer: string, limitsWindow: boolean): AgreedDeflate | null {
  const [name, ...parameters] = offer.split(";").map((part) => part.trim());
  if (name !== NAME) return null;
  const seen = new Set<string>();
  let windowBits: number | null = null;
  for (const parameter of parameters) {
    const { key, value } = readParameter(parameter);
    if (seen.has(key)) return null;
    seen.add(key);
    switch (key) {
      case "server_no_context_takeover":
      case "client_no_context_takeover":
        if (value !== null) return null;
        break;
      case "client_max_window_bits":
        // The server reads every window, so it sets no limit.
        if (value !== null && readWindow(value) === null) return null;
        break;
      case "server_max_window_bits":
        windowBits = readWindow(value ?? "");
        if (!limitsWindow || windowBits === null || windowBits < SMALLEST_WINDOW) return null;
        break;
      default:
        return null;
    }
  }
  const window = windowBits === null ? "" : `; server_max_window_bits=${windowBits}`;
  const answer = `${NAME}; server_no_context_takeover; client_no_context_takeover${window}`;
  return { windowBits: windowBits ?? LARGEST_WINDOW, answer };
}

/** A value may stand in quotes, if it is a token (RFC 6455 section 9.1). */
function readParameter(parameter: string): { key: string; value: string | null } {
  const equals = parameter.indexOf("=");
  if (equals === -1) return { key: parameter, value: null };
  const value = parameter.slice(equals + 1);
  const quoted = /^"(.*)"$/.exec(value)?.[1];
  return { key: parameter.slice(0, equals), value: quoted ?? value };
}

/** Reads a number from 8 to 15 without a zero at its start (RFC 7692 section 7.1.2). */
function readWindow(value: string): number | null {
  return /^(?:[89]|1[0-5])$/.test(value) ? Number(value) : null;
}
