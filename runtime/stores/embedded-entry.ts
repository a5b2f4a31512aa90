import { pack, unpack } from "msgpackr";
import type { StoredEntry } from "./store.ts";

/** Longer values have a record of their own: a list, and a write with a condition, do not read them. */
const LONG_BYTES = 2_048;

/** An entry as its first record has it. */
export interface FileEntry {
  readonly metadata: string | null;
  readonly expiresMs: number;
  /** `null`: it has a record of its own (`toValueKey`). */
  readonly value: Uint8Array | null;
}

/** Returns the records of an entry. The version is kept beside them. */
export function encodeEntry({ value, metadata, expiresMs }: StoredEntry): {
  head: Buffer;
  /** `null`: the first record has it. */
  value: Buffer | null;
} {
  const isLong = value.length > LONG_BYTES;
  // The library writes the bytes later, from where they are. The packer uses its memory again, and the caller its own.
  const head = Buffer.from(pack([expiresMs, metadata, isLong ? null : value]));
  return { head, value: isLong ? Buffer.from(value) : null };
}

/** Reads the first record of an entry. */
export function decodeEntry(bytes: Uint8Array): FileEntry {
  // No other function writes the values of the file.
  const [expiresMs, metadata, value] = unpack(bytes) as [number, string | null, Uint8Array | null];
  return { value, metadata, expiresMs };
}

/** Returns the key of an entry in the file: spaces have no NUL in their names. */
export function toFileKey(space: string, key: string): Buffer {
  return Buffer.from(`e${space}\0${key}`);
}

/** Returns the key of the record that has a long value. */
export function toValueKey(fileKey: Uint8Array): Buffer {
  return Buffer.concat([VALUE_PREFIX, fileKey]);
}

const VALUE_PREFIX = Buffer.from("v");

/** Returns the key of the record that an entry expires. Such records are in the order of their times. */
export function toExpiryKey(expiresMs: number, fileKey: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`x${String(expiresMs).padStart(TIME_DIGITS, "0")}`), fileKey]);
}

/** Reads the time and the key of the entry from such a record. */
export function readExpiryKey(key: Uint8Array): { expiresMs: number; fileKey: Buffer } {
  const bytes = Buffer.from(key);
  const expiresMs = Number(bytes.toString("latin1", 1, 1 + TIME_DIGITS));
  return { expiresMs, fileKey: bytes.subarray(1 + TIME_DIGITS) };
}

/** Enough for each whole number of milliseconds that JavaScript has. */
const TIME_DIGITS = 16;
