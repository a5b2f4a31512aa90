import { randomBytes } from "node:crypto";
import type { ContentType } from "../lib/content-types.ts";

/** The facts about a message beside its body. */
export interface MessageFacts {
  /** When it was sent, in ms since 1970. */
  readonly sentMs: number;
  /** How often a server has taken it. */
  readonly attempts: number;
  readonly contentType: ContentType;
  /** Size of the body. */
  readonly bytes: number;
  /** Whether it goes to a worker without other messages: its last worker was lost or took too long. */
  readonly isAlone: boolean;
  /** The lease; `null`: it waits. */
  readonly lease: Lease | null;
}

/** The right of a process to a message in work. */
export interface Lease {
  readonly owner: string;
  readonly deadlineMs: number;
  /** Differs after each `take`. */
  readonly token: string;
}

/** Enough for each whole number of milliseconds that JavaScript has. */
const TIME_DIGITS = 16;

/** Keys of messages that wait begin so. Their times follow: they are in the order in which they are due. */
export const WAITING_PREFIX = "r";

/** Keys of messages in work begin so. */
export const LEASED_PREFIX = "w";

const MAX_SEQUENCE = 0xffff;

/**
 * Returns a function that creates ids: 32 hexadecimal digits that increase with the time, and that no other process creates.
 */
export function createIdSource(now: () => number): () => string {
  let sequence = 0;
  return () => {
    sequence = sequence === MAX_SEQUENCE ? 0 : sequence + 1;
    const time = now().toString(16).padStart(12, "0");
    return `${time}${sequence.toString(16).padStart(4, "0")}${randomBytes(8).toString("hex")}`;
  };
}

/** Returns the key of a message that waits until a time. */
export function toWaitingKey(dueMs: number, id: string): string {
  return `${toDueKey(dueMs)}${id}`;
}

/** Returns the first key of the messages that are due at a time. */
export function toDueKey(dueMs: number): string {
  return `${WAITING_PREFIX}${String(Math.max(0, Math.ceil(dueMs))).padStart(TIME_DIGITS, "0")}`;
}

/** Reads the key of a message that waits. */
export function readWaitingKey(key: string): { dueMs: number; id: string } {
  const end = WAITING_PREFIX.length + TIME_DIGITS;
  return { dueMs: Number(key.slice(WAITING_PREFIX.length, end)), id: key.slice(end) };
}

/** Returns the key of a message in work. It stays the same while the lease is extended. */
export function toLeasedKey(id: string): string {
  return `${LEASED_PREFIX}${id}`;
}

/** Writes the facts as the metadata of an entry. */
export function encodeFacts({
  sentMs,
  attempts,
  contentType,
  bytes,
  isAlone,
  lease,
}: MessageFacts): string {
  return JSON.stringify([
    sentMs,
    attempts,
    contentType,
    bytes,
    isAlone ? 1 : 0,
    ...(lease === null ? [] : [lease.owner, lease.deadlineMs, lease.token]),
  ]);
}

/** Reads the metadata of an entry. Only `encodeFacts` writes it. */
export function decodeFacts(metadata: string | null): MessageFacts {
  // Other programs write no entries into spaces of queues.
  const [sentMs, attempts, contentType, bytes, alone, owner, deadlineMs, token = ""] = JSON.parse(
    metadata ?? '[0,0,"bytes",0,0]',
  ) as [number, number, ContentType, number, number, string?, number?, string?];
  return {
    sentMs,
    attempts,
    contentType,
    bytes,
    isAlone: alone === 1,
    lease: owner === undefined || deadlineMs === undefined ? null : { owner, deadlineMs, token },
  };
}
