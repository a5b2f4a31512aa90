/**
 * Returns bytes that can be kept: a view on a larger buffer keeps all of it in memory. Copies them if they are less than
 * half of their buffer. The copy has a buffer of its own, and no part of Node's pool.
 */
export function toOwnMemory(bytes: Buffer): Buffer {
  if (bytes.length >= bytes.buffer.byteLength / 2) return bytes;
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}
