import { createHmac, randomBytes } from "node:crypto";
import { parseBasicCredentials } from "./basic-credentials.ts";
import type { Users } from "./htpasswd-file.ts";
import type { PasswordChecks } from "./password-checks.ts";

/** Most right credentials that are remembered, and most wrong ones. Wrong ones must not push out right ones. */
const MOST_RIGHT = 10_000;
const MOST_WRONG = 1_000;

/** Longest password. Some kinds of hashes need a time that grows with the square of the length. */
const LONGEST_PASSWORD = 512;

/** The outcome of a check: the name of the user, or the reason to refuse. */
export type UserVerdict =
  | { kind: "user"; user: string }
  | { kind: "wrong" }
  | { kind: "busy" }
  | { kind: "client-busy" };

const WRONG: UserVerdict = { kind: "wrong" };

/**
 * The users of one file or config, and the credentials that were already checked. Immutable but for that memory: other
 * users are another list.
 *
 * It remembers an HMAC of each credential, not the credential. The key is random and never leaves the process.
 */
export class UserList {
  readonly users: Users;
  readonly #checks: PasswordChecks;
  readonly #key = randomBytes(32);
  readonly #right = new Map<string, UserVerdict>();
  readonly #wrong = new Set<string>();
  /** Checks that are running, so that many requests at once cost one. */
  readonly #running = new Map<string, Promise<UserVerdict>>();
  /** Hashes of which one stands in for the hash of an unknown user. */
  readonly #decoys: readonly string[];

  constructor(users: Users, checks: PasswordChecks) {
    this.users = users;
    this.#checks = checks;
    this.#decoys = [...users.values()];
  }

  /**
   * Checks the value of an `Authorization` field: at once if it was checked before, otherwise in another thread.
   *
   * @param client Names the client, for its turn.
   */
  check(authorization: string, client: string): UserVerdict | Promise<UserVerdict> {
    const digest = this.#digestOf(authorization);
    const right = this.#right.get(digest);
    if (right !== undefined) return right;
    if (this.#wrong.has(digest)) return WRONG;
    const running = this.#running.get(digest) ?? this.#verify(authorization, digest, client);
    return running;
  }

  #verify(
    authorization: string,
    digest: string,
    client: string,
  ): UserVerdict | Promise<UserVerdict> {
    const credentials = parseBasicCredentials(authorization);
    if (credentials === null || credentials.password.length > LONGEST_PASSWORD) return WRONG;
    const { user, password } = credentials;
    const own = this.users.get(user);
    // An unknown user takes as long as a known one, always the same one.
    const hash = own ?? this.#decoyFor(user);
    if (hash === undefined) return WRONG;
    const running = this.#checks.verify({ password, hash }, client).then(
      (verdict): UserVerdict => {
        this.#running.delete(digest);
        if (verdict === "busy" || verdict === "client-busy") return { kind: verdict };
        if (verdict === "right" && own !== undefined) return this.#remember(digest, user);
        if (this.#wrong.size >= MOST_WRONG) deleteFirst(this.#wrong);
        this.#wrong.add(digest);
        return WRONG;
      },
      (error: unknown) => {
        this.#running.delete(digest);
        throw error;
      },
    );
    this.#running.set(digest, running);
    return running;
  }

  #remember(digest: string, user: string): UserVerdict {
    const verdict: UserVerdict = { kind: "user", user };
    if (this.#right.size >= MOST_RIGHT) deleteFirst(this.#right);
    this.#right.set(digest, verdict);
    return verdict;
  }

  #decoyFor(user: string): string | undefined {
    if (this.#decoys.length === 0) return undefined;
    const digest = createHmac("sha256", this.#key).update(`decoy ${user}`).digest();
    return this.#decoys[digest.readUInt32LE(0) % this.#decoys.length];
  }

  #digestOf(authorization: string): string {
    return createHmac("sha256", this.#key).update(authorization, "latin1").digest("base64");
  }
}

function deleteFirst(entries: Map<string, unknown> | Set<string>): void {
  const first = entries.keys().next();
  if (first.done !== true) entries.delete(first.value);
}
