import { pack, unpack } from "msgpackr";
import type { NewEntry } from "./store.ts";

/** Returns the bytes of an entry in a file. Its version is kept beside them. */
export function encodeEntry({ value, metadata, expiresMs }: NewEntry): Buffer {
  // The library writes the bytes later, from where they are. The packer uses its memory again.
  return Buffer.from(pack([expiresMs, metadata, value]));
}

/** Reads the bytes of `encodeEntry`. */
export function decodeEntry(bytes: Uint8Array): NewEntry {
  // No other function writes the values of the file.
  const [expiresMs, metadata, value] = unpack(bytes) as [number, string | null, Uint8Array];
  return { value, metadata, expiresMs };
}

/** Returns the key of an entry in the file: spaces have no NUL in their names. */
export function toFileKey(space: string, key: string): Buffer {
  return Buffer.from(`e${space}\0${key}`);
}

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
