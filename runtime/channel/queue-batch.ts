import { pack, unpack } from "msgpackr";
import type { ContentType } from "../lib/content-types.ts";

/** A message on its way to a worker. */
export interface SentMessage {
  readonly id: string;
  /** When it was sent to the queue, in ms since 1970. */
  readonly sentMs: number;
  /** 1 the first time. */
  readonly attempts: number;
  readonly contentType: ContentType;
  readonly body: Uint8Array;
}

/** The word of a handler on one message; `null`: the result of the batch decides. */
export type Verdict =
  | { readonly kind: "acknowledge" }
  /** `delayMs: null`: after the pause of the queue. */
  | { readonly kind: "retry"; readonly delayMs: number | null }
  | null;

/** Longest pause that a handler may ask for. */
export const MAX_RETRY_DELAY_SECONDS = 86_400;

/** Writes the messages of a batch as the body of a request with the method `QUEUE_METHOD`. */
export function encodeBatch(messages: readonly SentMessage[]): Uint8Array {
  return pack(
    messages.map(({ id, sentMs, attempts, contentType, body }) => [
      id,
      sentMs,
      attempts,
      contentType,
      Buffer.from(body.buffer, body.byteOffset, body.byteLength),
    ]),
  );
}

/** Reads the body of such a request. The primary is the only sender. */
export function decodeBatch(bytes: Uint8Array): SentMessage[] {
  const rows = unpack(bytes) as [string, number, number, ContentType, Uint8Array][];
  return rows.map(([id, sentMs, attempts, contentType, body]) => {
    return { id, sentMs, attempts, contentType, body };
  });
}

/** Writes the words of a handler as the body of the response: true, a number of seconds, or false for each message. */
export function encodeVerdicts(verdicts: readonly Verdict[]): string {
  return JSON.stringify(
    verdicts.map((verdict) => {
      if (verdict === null) return null;
      if (verdict.kind === "acknowledge") return true;
      return verdict.delayMs === null ? false : verdict.delayMs / 1_000;
    }),
  );
}

/**
 * Reads the body of such a response.
 *
 * @returns `null`: it is not the answer to a batch of this length.
 */
export function parseVerdicts(text: string, length: number): Verdict[] | null {
  let values: unknown;
  try {
    values = JSON.parse(text);
  } catch {
    return null;
  }
  if (!Array.isArray(values) || values.length !== length) return null;
  const verdicts: Verdict[] = [];
  for (const value of values as unknown[]) {
    if (value === null) verdicts.push(null);
    else if (value === true) verdicts.push({ kind: "acknowledge" });
    else if (value === false) verdicts.push({ kind: "retry", delayMs: null });
    else if (typeof value === "number" && value >= 0 && value <= MAX_RETRY_DELAY_SECONDS) {
      verdicts.push({ kind: "retry", delayMs: value * 1_000 });
    } else return null;
  }
  return verdicts;
}
