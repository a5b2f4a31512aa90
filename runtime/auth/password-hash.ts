import { createHash, timingSafeEqual } from "node:crypto";
import { compareSync } from "bcryptjs";
import { encrypt as shaCrypt } from "unixcrypt";

/** Tells whether a password belongs to a hash of `htpasswd-file.ts`. Takes up to a second: not for the event loop. */
export function verifyPassword(password: string, hash: string): boolean {
  if (hash.startsWith("$2")) return compareSync(password, hash);
  if (hash.startsWith("$apr1$")) return isEqual(md5Crypt(password, hash, "$apr1$"), hash);
  if (hash.startsWith("$1$")) return isEqual(md5Crypt(password, hash, "$1$"), hash);
  if (hash.startsWith("$5$") || hash.startsWith("$6$")) {
    return isEqual(shaCrypt(password, hash.slice(0, hash.lastIndexOf("$"))), hash);
  }
  if (hash.startsWith("{SHA}")) {
    return isEqual(`{SHA}${createHash("sha1").update(password).digest("base64")}`, hash);
  }
  return false;
}

function isEqual(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}

const ROUNDS = 1_000;

const DIGITS = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** Order in which the bytes of the digest are written, in groups of three. */
const GROUPS = [
  [0, 6, 12],
  [1, 7, 13],
  [2, 8, 14],
  [3, 9, 15],
  [4, 10, 5],
] as const;

/**
 * Computes the MD5 hash of Apache's `htpasswd -m` (`$apr1$`) or of `crypt(3)` (`$1$`): a thousand rounds of MD5 over
 * salt and password, in an order that depends on the round.
 *
 * @param hash A hash with the same salt.
 */
function md5Crypt(text: string, hash: string, magic: "$apr1$" | "$1$"): string {
  const password = Buffer.from(text);
  const salt = Buffer.from(hash.slice(magic.length).split("$", 1).join("").slice(0, 8));
  let digest = md5(password, salt, password);
  const first: Buffer[] = [password, Buffer.from(magic), salt];
  for (let left = password.length; left > 0; left -= 16) {
    first.push(digest.subarray(0, Math.min(16, left)));
  }
  for (let bits = password.length; bits > 0; bits >>= 1) {
    first.push((bits & 1) === 1 ? Buffer.of(0) : password.subarray(0, 1));
  }
  digest = md5(...first);
  for (let round = 0; round < ROUNDS; round++) {
    const isOdd = round % 2 === 1;
    const parts = [isOdd ? password : digest];
    if (round % 3 !== 0) parts.push(salt);
    if (round % 7 !== 0) parts.push(password);
    parts.push(isOdd ? digest : password);
    digest = md5(...parts);
  }
  const byteAt = (at: number): number => digest[at] ?? 0;
  const groups = GROUPS.map(([a, b, c]) =>
    toDigits((byteAt(a) << 16) | (byteAt(b) << 8) | byteAt(c), 4),
  );
  return `${magic}${salt.toString()}$${groups.join("")}${toDigits(byteAt(11), 2)}`;
}

function md5(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash("md5");
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** Writes a number in 64 digits, the lowest first. */
function toDigits(value: number, count: number): string {
  let digits = "";
  for (let at = 0; at < count; at++) digits += DIGITS.charAt((value >> (6 * at)) & 63);
  return digits;
}
