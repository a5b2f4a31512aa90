import { isNodeEngine } from "../../test/helpers/engine.ts";
import { formatOrder } from "./produce.ts";
import { pickOne, type Random } from "./random.ts";

/** The target of an exchange: a handler of `handlers/` by its folder, or a static file. */
export type Asked =
  | "echo"
  | "reads"
  | "ignores"
  | "glances"
  | "produces"
  | "breaks"
  | "whole"
  | "throws"
  | "waits"
  | "file";

/** How a client leaves: normally, with a reset, or by ending its own direction only, which uWebSockets.js treats the same. */
export type Leaving = "close" | "reset" | "half-close";

/** Where a client leaves or stops. Offsets count from the first byte of the head, or of the response's body. */
export type Break =
  | { readonly kind: "leaves-sending"; readonly atByte: number; readonly how: Leaving }
  | { readonly kind: "leaves-waiting"; readonly afterMs: number; readonly how: Leaving }
  | { readonly kind: "leaves-reading"; readonly atByte: number; readonly how: Leaving }
  | { readonly kind: "stalls-sending"; readonly atByte: number };

/** The plan of one exchange. */
export interface ExchangePlan {
  /** Unique in a run. It is part of the path, and so of the access line. */
  readonly n: number;
  readonly asked: Asked;
  /** Whether its handler spools bodies, so that it can be slower than its client or the other way round. */
  readonly spooled: boolean;
  readonly method: "GET" | "HEAD" | "POST";
  /** Offset of its bodies in the pattern: exchanges that are mixed up have different bytes. */
  readonly from: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly responsePiece: number;
  readonly pauseEvery: number;
  readonly announced: boolean;
  readonly framing: "length" | "chunked" | "none";
  /** Seed for the sizes of the pieces that it sends, and for its pauses. */
  readonly pieceSeed: number;
  /** How often the client pauses its reading. */
  readonly readingPauses: number;
  readonly break: Break | null;
}

/** Sizes around every buffer, chunk and credit on the way, and on both sides of them. */
const SIZES = [
  0, 1, 2, 100, 1_000, 5_333, 5_334, 15_999, 16_000, 16_001, 16_383, 16_384, 16_385, 32_000, 65_535,
  65_536, 65_537, 131_071, 131_072, 131_073, 262_144, 300_000, 524_289, 1_048_576, 2_097_153,
] as const;

const PIECES = [1, 13, 1_000, 16_000, 16_384, 65_536, 65_537, 200_000, 1_000_000] as const;

/** Most pieces of a stream: with one byte each, a large one would take the whole run. */
const MAX_PIECES = 2_000;

/** The server's own limit. A smaller body is gathered before a handler gets it. */
const BODY_BUFFER = 65_536;

/** Sizes of the static files, by their names: `file-SIZE.bin`. */
export const FILE_SIZES = [0, 1, 16_000, 16_385, 65_537, 300_000, 2_097_153] as const;

/** Streaming targets are more frequent. */
const ASKED: readonly [Asked, ...Asked[]] = [
  "echo",
  "echo",
  "echo",
  "reads",
  "reads",
  "ignores",
  "glances",
  "produces",
  "produces",
  "produces",
  "breaks",
  "breaks",
  "whole",
  "whole",
  "throws",
  "file",
];

/** Targets that `handlers/spooled/` has, too. */
const SPOOLED: ReadonlySet<Asked> = new Set(["echo", "reads", "produces", "breaks"]);

const WITH_BODY: ReadonlySet<Asked> = new Set(["echo", "reads", "glances", "throws"]);

/** One exchange in this many waits for one of the server's timers, which take a second each. */
const ONE_IN_TIMED = 64;

/** Draws an exchange. Pure, except for the sequence. */
export function planExchange(n: number, random: Random): ExchangePlan {
  const timed = random(ONE_IN_TIMED) === 0;
  const asked = timed && random(2) === 0 ? "waits" : pickOne(random, ASKED);
  // Other targets get a body that they do not read, now and then; a file takes none.
  const withBody = WITH_BODY.has(asked) || (asked !== "file" && random(3) === 0);
  const requestBytes = withBody ? pickOne(random, SIZES) : 0;
  const responseBytes = pickOne<number>(random, asked === "file" ? FILE_SIZES : SIZES);
  const responsePiece = Math.max(pickOne(random, PIECES), Math.ceil(responseBytes / MAX_PIECES));
  const plan: ExchangePlan = {
    n,
    asked,
    spooled: SPOOLED.has(asked) && random(3) === 0,
    method: withBody ? "POST" : pickOne<"GET" | "HEAD">(random, ["GET", "GET", "GET", "HEAD"]),
    from: (n * 7_919) % 1_000_003,
    requestBytes,
    responseBytes,
    responsePiece,
    pauseEvery: pickOne(random, [0, 0, 1, 7]),
    announced: random(2) === 0,
    framing: withBody ? pickOne<"length" | "chunked">(random, ["length", "chunked"]) : "none",
    pieceSeed: random(2 ** 31),
    readingPauses: random(3) === 0 ? random(10) : 0,
    break: null,
  };
  return { ...plan, break: planBreak(plan, timed, random) };
}

function planBreak(plan: ExchangePlan, timed: boolean, random: Random): Break | null {
  if (plan.asked === "waits") return null;
  const sentBytes = headOf(plan).length + plan.requestBytes;
  if (timed) {
    // Only handlers that wait for their body. The others answer without it.
    if ((plan.asked !== "reads" && plan.asked !== "echo") || plan.requestBytes === 0) return null;
    return { kind: "stalls-sending", atByte: sentBytes - 1 - random(plan.requestBytes) };
  }
  // The Node engine answers a client that has ended its own direction only.
  const how = pickOne<Leaving>(
    random,
    isNodeEngine() ? ["close", "reset"] : ["close", "reset", "half-close"],
  );
  switch (random(9)) {
    case 0:
      return { kind: "leaves-sending", atByte: random(sentBytes), how };
    case 1:
      return { kind: "leaves-waiting", afterMs: random(4), how };
    case 2:
      return { kind: "leaves-reading", atByte: random(plan.responseBytes + 1), how };
    default:
      return null;
  }
}

/** The path of an exchange, as in the access log. */
export function pathOf({ asked, spooled, n, responseBytes }: ExchangePlan): string {
  if (asked === "file") return `/file-${responseBytes}.bin`;
  return `${spooled ? "/spooled" : ""}/${asked}/${n}`;
}

/** The head of its request. */
export function headOf(plan: ExchangePlan): string {
  const { method, from, responseBytes, responsePiece, pauseEvery, announced, framing } = plan;
  const query = formatOrder({
    from,
    bytes: responseBytes,
    piece: responsePiece,
    pauseEvery,
    announced,
  });
  const fields = {
    none: "",
    length: `Content-Length: ${plan.requestBytes}\r\n`,
    chunked: "Transfer-Encoding: chunked\r\n",
  }[framing];
  return `${method} ${pathOf(plan)}${query} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;
}

/** The response to a client that stays to the end. */
export interface Expected {
  /** `broken`: the connection ends before the response does. */
  readonly kind: "answered" | "broken";
  readonly status: number;
  /** The body as a part of the pattern; `null`: some text. */
  readonly body: { readonly from: number; readonly bytes: number } | null;
}

/** Returns the expected end of an exchange. Pure. */
export function expectOf(plan: ExchangePlan): Expected {
  const { asked, method, requestBytes, responseBytes, from } = plan;
  if (plan.break?.kind === "stalls-sending") {
    // A response that has begun when the client stops can only be broken off.
    const isAnswered =
      asked === "echo" && !plan.spooled && plan.break.atByte - headOf(plan).length > BODY_BUFFER;
    return isAnswered
      ? { kind: "broken", status: 200, body: { from, bytes: requestBytes } }
      : text(408);
  }
  // The handler's body for HEAD is not read, so its break stays unnoticed.
  const isHead = method === "HEAD";
  const pattern = (bytes: number, start = from): Expected => ({
    kind: "answered",
    status: 200,
    body: { from: start, bytes: isHead ? 0 : bytes },
  });
  switch (asked) {
    case "echo":
      return pattern(requestBytes);
    case "produces":
    case "whole":
      return pattern(responseBytes);
    case "file":
      return pattern(responseBytes, 0);
    case "breaks":
      return { ...pattern(responseBytes), kind: isHead ? "answered" : "broken" };
    case "ignores":
      return text(403);
    case "throws":
      return text(500);
    case "waits":
      return text(504);
    case "reads":
    case "glances":
      return text(200);
  }
}

function text(status: number): Expected {
  return { kind: "answered", status, body: null };
}
