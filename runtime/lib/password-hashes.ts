/** Highest cost of bcrypt: it takes seconds. A higher one would block the thread that hashes for all other users. */
const MOST_BCRYPT_COST = 15;

/** Most rounds of SHA crypt, for the same reason. */
const MOST_ROUNDS = 500_000;

const BCRYPT = /^\$2[aby]\$(\d\d)\$[./0-9A-Za-z]{53}$/;
const MD5_CRYPT = /^\$(?:apr1|1)\$[^$:]{1,8}\$[./0-9A-Za-z]{22}$/;
const SHA_CRYPT =
  /^\$(?:5\$(?:rounds=(\d+)\$)?[^$:]{0,16}\$[./0-9A-Za-z]{43}|6\$(?:rounds=(\d+)\$)?[^$:]{0,16}\$[./0-9A-Za-z]{86})$/;
const SHA1 = /^\{SHA\}[+/0-9A-Za-z]{27}=$/;

/** A user name goes into a field of the request. */
// oxlint-disable-next-line no-control-regex -- Finds them.
const CONTROL = /[\0-\x1f\x7f]/;

/** Describes the fault of a user's entry, to follow "found"; `null`: it is fine. Never names the hash or a password. */
export function describeUserProblem(user: string, hash: string): string | null {
  if (user === "") return "no user name";
  if (CONTROL.test(user) || user.includes(":"))
    return "a user name with a colon or control character";
  return describeHashProblem(hash.trimEnd());
}

function describeHashProblem(hash: string): string | null {
  const [, cost] = BCRYPT.exec(hash) ?? [];
  if (cost !== undefined) {
    if (Number(cost) < 4) return `bcrypt with the cost ${Number(cost)}, which it does not have`;
    return Number(cost) > MOST_BCRYPT_COST
      ? `bcrypt with the cost ${Number(cost)}, above ${MOST_BCRYPT_COST}`
      : null;
  }
  const sha = SHA_CRYPT.exec(hash);
  if (sha !== null) {
    const rounds = Number(sha[1] ?? sha[2] ?? 0);
    return rounds > MOST_ROUNDS ? `a hash with ${rounds} rounds, above ${MOST_ROUNDS}` : null;
  }
  if (MD5_CRYPT.test(hash) || SHA1.test(hash)) return null;
  if (/^\$|^\{/.test(hash)) return "a hash that is malformed or of an unknown kind";
  return "a password in plain text or a hash of crypt(3), which protects nothing";
}

/** Tells whether a hash is one that is fast to guess. */
export function isWeakHash(hash: string): boolean {
  return SHA1.test(hash);
}
