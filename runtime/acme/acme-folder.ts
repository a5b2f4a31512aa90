import { createHash, randomUUID, X509Certificate } from "node:crypto";
import {
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod/mini";
import { RuntimeError } from "../lib/errors.ts";
import { type Attempts, type Lifetime, NO_ATTEMPTS } from "./schedule.ts";

/** The folder of the certificates that Edgicorn ordered, in the folder of all certificates. */
const NAME = ".acme";

/** Age at which a lock counts as left behind. Its holder touches it more often. */
const STALE_MS = 120_000;

/** Number of earlier certificates that stay on disk for each name. */
const KEPT = 2;

const TOKEN = /^[\w-]{1,256}$/;

const attemptsSchema = z.record(
  z.string(),
  z.object({ failures: z.number(), nextAttemptMs: z.number(), lastError: z.nullable(z.string()) }),
);

/** A certificate that was ordered. */
export interface OrderedCertificate extends Lifetime {
  names: readonly string[];
}

/** A certificate to order: its name on disk and its host names. */
export interface Wanted {
  /** The first host name, which is the name of its folder. */
  name: string;
  names: readonly string[];
  directory: string;
}

/**
 * The files of ordered certificates, which several processes and machines may share.
 *
 *     certs/shop.test -> .acme/issued/shop.test-0f3a9c1b-20260102-...    fullchain.pem, privkey.pem
 *     certs/.acme/    account keys, attempts.json, challenges/TOKEN, lock
 *
 * A certificate and its key are replaced together: a link is moved in one step.
 */
export class AcmeFolder {
  readonly #certsDir: string;
  readonly #dir: string;

  /** @param certsDir Absolute path of the folder of all certificates. */
  constructor(certsDir: string) {
    this.#certsDir = certsDir;
    this.#dir = join(certsDir, NAME);
  }

  /** The folder of the tokens that authorities ask for. */
  get challengesDir(): string {
    return join(this.#dir, "challenges");
  }

  /** Makes the folders. */
  async make(): Promise<void> {
    for (const dir of [this.#certsDir, this.#dir, this.challengesDir, join(this.#dir, "issued")]) {
      await mkdir(dir, { mode: 0o700 }).catch(ignore("EEXIST"));
    }
  }

  /** @throws RuntimeError `ERR_CERTIFICATE` that names each key that other users can read. */
  async checkModes(): Promise<void> {
    const files = await readdir(this.#dir, { recursive: true }).catch(() => []);
    const problems: string[] = [];
    for (const file of files.filter(
      (each) => each.endsWith(".key") || each.endsWith("privkey.pem"),
    )) {
      const path = join(this.#dir, file);
      const { mode } = await stat(path);
      if ((mode & 0o077) === 0 || process.platform === "win32") continue;
      const octal = (mode & 0o777).toString(8).padStart(4, "0");
      problems.push(`Cannot use ${path}: found mode ${octal}, expected 0600 (chmod 600 ${path})`);
    }
    if (problems.length > 0) throw new RuntimeError("ERR_CERTIFICATE", problems.join("\n"));
  }

  /** Returns the key of the account with an authority, in PEM. Makes it if there is none. */
  async readAccountKey(directory: string, make: () => string): Promise<string> {
    const path = join(this.#dir, `account-${hashOf(directory)}.key`);
    const found = await readFile(path, "utf8").catch(nullIf("ENOENT"));
    if (found !== null) return found;
    const pem = make();
    await publish(path, pem);
    return pem;
  }

  /** Returns the present certificate; `null`: there is none of this authority. */
  async readCertificate({ name, directory }: Wanted): Promise<OrderedCertificate | null> {
    const link = join(this.#certsDir, name);
    try {
      const target = await readlink(link);
      if (!target.startsWith(`${NAME}/issued/${name}-${hashOf(directory)}-`)) return null;
      return describe(await readFile(join(link, "fullchain.pem")));
    } catch {
      // It does not exist yet, or is damaged: a new one is ordered.
      return null;
    }
  }

  /** Puts a certificate in the place of the present one, with its key, in one step. */
  async publishCertificate(wanted: Wanted, pems: { chain: string; key: string }): Promise<void> {
    const { name, directory } = wanted;
    const link = join(this.#certsDir, name);
    await refuseForeign(link);
    const time = new Date().toISOString().replaceAll(/[^\d]/g, "");
    const target = `issued/${name}-${hashOf(directory)}-${time}`;
    const dir = join(this.#dir, target);
    await mkdir(dir, { mode: 0o700 });
    await writeWhole(join(dir, "privkey.pem"), pems.key, 0o600);
    await writeWhole(join(dir, "fullchain.pem"), pems.chain, 0o644);
    const draft = join(this.#certsDir, `.${name}.${randomUUID()}.tmp`);
    await symlink(`${NAME}/${target}`, draft);
    await rename(draft, link);
    await this.#removeEarlier(name);
  }

  async readAttempts(wanted: Wanted): Promise<Attempts> {
    const all = await this.#readAllAttempts();
    return all[toKey(wanted)] ?? NO_ATTEMPTS;
  }

  /** Records attempts. The file is on disk when the promise resolves. The caller must hold the lock. */
  async writeAttempts(wanted: Wanted, attempts: Attempts): Promise<void> {
    const all = { ...(await this.#readAllAttempts()), [toKey(wanted)]: attempts };
    await publish(join(this.#dir, "attempts.json"), `${JSON.stringify(all, null, 2)}\n`);
  }

  async #readAllAttempts(): Promise<Record<string, Attempts>> {
    const text = await readFile(join(this.#dir, "attempts.json"), "utf8").catch(nullIf("ENOENT"));
    if (text === null) return {};
    try {
      return attemptsSchema.parse(JSON.parse(text));
    } catch (cause) {
      const message = `Cannot read ${join(this.#dir, "attempts.json")}: found no record of attempts, expected the file that Edgicorn wrote (remove it to begin anew)`;
      throw new RuntimeError("ERR_CERTIFICATE", message, { cause });
    }
  }

  /** Shows a token to all servers that share the folder. */
  async writeToken(token: string, answer: string): Promise<void> {
    await publish(join(this.challengesDir, token), answer, 0o644);
  }

  async removeToken(token: string): Promise<void> {
    await rm(join(this.challengesDir, token), { force: true });
  }

  /** Returns the answers of all tokens, also those of other servers. */
  async readTokens(): Promise<Map<string, string>> {
    const names = await readdir(this.challengesDir).catch(() => []);
    const tokens = new Map<string, string>();
    for (const name of names.filter((each) => TOKEN.test(each))) {
      const answer = await readFile(join(this.challengesDir, name), "utf8").catch(() => "");
      if (answer.startsWith(`${name}.`)) tokens.set(name, answer);
    }
    return tokens;
  }

  /**
   * Takes the lock for orders. Several processes and machines may share the folder.
   *
   * @returns A function that releases it; `null`: another process has it.
   */
  async lock(): Promise<(() => Promise<void>) | null> {
    const path = join(this.#dir, "lock");
    const id = `${process.pid} ${randomUUID()}`;
    if (!(await this.#createLock(path, id))) {
      if (!(await this.#isStale(path))) return null;
      // Only one process can move the lock away. One that moves a fresh lock finds a younger time, and gives up.
      const moved = `${path}.${randomUUID()}.stale`;
      const isMoved = await rename(path, moved).then(
        () => true,
        () => false,
      );
      await rm(moved, { force: true });
      if (!isMoved || !(await this.#createLock(path, id))) return null;
    }
    // Written, not touched: the time is that of the file system, as in `#isStale`.
    const timer = setInterval(() => {
      void writeFile(path, id, { flag: "r+" }).catch(() => {});
    }, STALE_MS / 6).unref();
    return async () => {
      clearInterval(timer);
      const holder = await readFile(path, "utf8").catch(() => "");
      if (holder === id) await rm(path, { force: true });
    };
  }

  async #createLock(path: string, id: string): Promise<boolean> {
    try {
      await writeFile(path, id, { flag: "wx", mode: 0o600 });
      return true;
    } catch (error) {
      if (isCode(error, "EEXIST")) return false;
      throw error;
    }
  }

  /** Compares with a file written now: clocks of machines that share the folder may differ. */
  async #isStale(path: string): Promise<boolean> {
    const probe = `${path}.${randomUUID()}.probe`;
    try {
      await writeFile(probe, "");
      const [now, lock] = await Promise.all([stat(probe), stat(path)]);
      return now.mtimeMs - lock.mtimeMs > STALE_MS;
    } catch {
      // It was released a moment ago.
      return false;
    } finally {
      await rm(probe, { force: true });
    }
  }

  async #removeEarlier(name: string): Promise<void> {
    const issued = join(this.#dir, "issued");
    const own = (await readdir(issued)).filter((each) => {
      return each.startsWith(`${name}-`) && /^[0-9a-f]{8}-\d+$/.test(each.slice(name.length + 1));
    });
    const byTime = own.toSorted((a, b) => (timeOf(a) < timeOf(b) ? 1 : -1));
    for (const old of byTime.slice(1 + KEPT)) {
      await rm(join(issued, old), { recursive: true, force: true });
    }
  }
}

function timeOf(folder: string): string {
  return folder.slice(folder.lastIndexOf("-") + 1);
}

function describe(pem: Buffer): OrderedCertificate {
  const { validFrom, validTo, subjectAltName = "" } = new X509Certificate(pem);
  return {
    names: subjectAltName.split(", ").map((entry) => entry.replace(/^DNS:/, "").toLowerCase()),
    notBeforeMs: Date.parse(validFrom),
    notAfterMs: Date.parse(validTo),
  };
}

/** Refuses to replace files of the operator. */
async function refuseForeign(link: string): Promise<void> {
  const found = await lstat(link).catch(nullIf("ENOENT"));
  if (found === null) return;
  const isOwn = found.isSymbolicLink() && (await readlink(link)).startsWith(`${NAME}/issued/`);
  if (isOwn) return;
  const message = `Cannot use ${link}: found files that Edgicorn did not order, expected none (move them away, or take the name out of acme)`;
  throw new RuntimeError("ERR_CERTIFICATE", message);
}

function toKey({ names, directory }: Wanted): string {
  return `${directory} ${names.join(",")}`;
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}

async function publish(path: string, content: string, mode = 0o600): Promise<void> {
  const draft = `${path}.${randomUUID()}.tmp`;
  await writeWhole(draft, content, mode);
  await rename(draft, path);
}

/** Writes a new file with its mode from the first moment, and waits until it is on disk. */
async function writeWhole(path: string, content: string, mode: number): Promise<void> {
  const file = await open(path, "wx", mode);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

function ignore(code: string): (error: unknown) => void {
  return (error) => {
    if (!isCode(error, code)) throw error;
  };
}

function nullIf(code: string): (error: unknown) => null {
  return (error) => {
    if (!isCode(error, code)) throw error;
    return null;
  };
}
