import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { type FSWatcher, watch } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { RuntimeError, toError } from "../lib/errors.ts";
import type { Logger } from "../log/log.ts";
import { checkCertificate } from "../tls/check-certificate.ts";
import { AcmeClient, AcmeProblem } from "./acme-client.ts";
import { AcmeFolder, type OrderedCertificate, type Wanted } from "./acme-folder.ts";
import { makeCertificateRequest } from "./csr.ts";
import { type Attempts, beginAttempt, failAttempt, NO_ATTEMPTS, toRenewalMs } from "./schedule.ts";

/** The settings of orders. */
export interface RenewerSettings {
  certsDir: string;
  email: string | null;
  /** URL of the authority's directory. */
  directory: string;
  /** One list of host names for each certificate. */
  groups: readonly (readonly string[])[];
}

export interface RenewerOptions {
  settings: RenewerSettings;
  log: Logger;
  /** Replaces the answers for tokens that clients can ask for. */
  setTokens: (tokens: ReadonlyMap<string, string>) => void;
  /** A new certificate is on disk. Must not reject. */
  onIssued: () => Promise<void>;
}

/** Longest time between two looks at the certificates. Another process may have renewed one. */
const MOST_WAIT_MS = 60_000;

/** Time between two tries to get the lock. */
const LOCKED_MS = 2_000;

/** Time between two looks at the tokens of servers on other machines. */
const TOKENS_MS = 1_000;

/** Time in which such servers find the tokens. */
const SHARE_MS = 1_500;

/**
 * Orders certificates and renews them.
 *
 *     looking ──due──▶ locked ──attempt on disk──▶ ordering ──▶ published ──▶ looking
 *        ▲                └──lock held elsewhere, failure──▶ waiting ──────────┘
 *
 * A certificate stays in use until its successor is on disk. All waits end when the renewer is closed.
 */
export class Renewer {
  readonly #options: RenewerOptions;
  readonly #folder: AcmeFolder;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  readonly #random = Math.random();
  /** Problems that were logged, by the name of the certificate. */
  readonly #told = new Map<string, string>();
  #ownTokens = new Map<string, string>();
  #timer: NodeJS.Timeout | undefined;
  #tokensTimer: NodeJS.Timeout | undefined;
  #watcher: FSWatcher | null = null;
  #running: Promise<void> | null = null;

  constructor(options: RenewerOptions) {
    this.#options = options;
    this.#folder = new AcmeFolder(options.settings.certsDir);
    this.#log = options.log;
  }

  /** Begins to look after the certificates. Failures are logged. */
  async start(): Promise<void> {
    try {
      await this.#folder.make();
    } catch (error) {
      this.#log.error(`cannot order certificates: ${toError(error).message}`);
      return;
    }
    if (this.#stop.signal.aborted) return;
    try {
      const dir = this.#folder.challengesDir;
      this.#watcher = watch(dir, { persistent: false }, () => void this.#shareTokens());
      this.#watcher.on("error", () => this.#watcher?.close());
    } catch {
      // No more watches are allowed. The looks are enough.
    }
    this.#tokensTimer = setInterval(() => void this.#shareTokens(), TOKENS_MS).unref();
    this.#lookIn(0);
  }

  /** Ends all waits. Resolves when no order is under way. */
  async close(): Promise<void> {
    this.#stop.abort(
      new RuntimeError("ERR_DRAINING", "Cannot order certificates: the server stops"),
    );
    clearTimeout(this.#timer);
    clearInterval(this.#tokensTimer);
    this.#watcher?.close();
    await this.#running;
    this.#options.setTokens(new Map());
  }

  async #shareTokens(): Promise<void> {
    const found = await this.#folder.readTokens();
    if (this.#stop.signal.aborted) return;
    this.#options.setTokens(new Map([...found, ...this.#ownTokens]));
  }

  #lookIn(delayMs: number): void {
    if (this.#stop.signal.aborted) return;
    const waitMs = Math.max(0, Math.min(delayMs, MOST_WAIT_MS));
    this.#timer = setTimeout(() => {
      this.#running = this.#lookAtAll();
    }, waitMs).unref();
  }

  async #lookAtAll(): Promise<void> {
    let nextMs = MOST_WAIT_MS;
    for (const names of this.#options.settings.groups) {
      if (this.#stop.signal.aborted) return;
      const [name = ""] = names;
      try {
        nextMs = Math.min(nextMs, await this.#look({ ...this.#options.settings, name, names }));
        this.#told.delete(`folder ${name}`);
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        this.#tell(`folder ${name}`, toError(error).message, () =>
          this.#log.error({ names }, `certificate not ordered: ${toError(error).message}`),
        );
      }
    }
    this.#lookIn(nextMs);
  }

  /** Logs a problem once until it changes. */
  #tell(subject: string, problem: string, log: () => void): void {
    if (this.#told.get(subject) === problem) return;
    this.#told.set(subject, problem);
    log();
  }

  /** Looks at one certificate, and orders it if it is due. Returns the time until the next look. */
  async #look(wanted: Wanted): Promise<number> {
    const dueInMs = await this.#dueInMs(wanted);
    if (dueInMs > 0) {
      await this.#tellOfWait(wanted);
      return dueInMs;
    }
    const release = await this.#folder.lock();
    if (release === null) return LOCKED_MS;
    try {
      // Another process may have ordered it, or have failed, since the look.
      const stillInMs = await this.#dueInMs(wanted);
      if (stillInMs > 0) return stillInMs;
      await this.#attempt(wanted);
    } finally {
      await release();
    }
    return await this.#dueInMs(wanted);
  }

  async #dueInMs(wanted: Wanted): Promise<number> {
    const present = await this.#folder.readCertificate(wanted);
    const { nextAttemptMs } = await this.#folder.readAttempts(wanted);
    const dueMs = covers(present, wanted) ? toRenewalMs(present, this.#random) : 0;
    return Math.max(dueMs, nextAttemptMs) - Date.now();
  }

  /** Logs that an attempt has to wait because of an earlier one, perhaps of a process that ended. */
  async #tellOfWait(wanted: Wanted): Promise<void> {
    const { nextAttemptMs, failures, lastError } = await this.#folder.readAttempts(wanted);
    if (failures === 0 || nextAttemptMs <= Date.now()) return;
    const { name, names } = wanted;
    const nextAttempt = new Date(nextAttemptMs).toISOString();
    this.#tell(`wait ${name}`, nextAttempt, () =>
      this.#log.warn(
        { names, failures, lastError, nextAttempt },
        "the next order of a certificate waits",
      ),
    );
  }

  async #attempt(wanted: Wanted): Promise<void> {
    const { names } = wanted;
    const startedMs = performance.now();
    const begun = beginAttempt(await this.#folder.readAttempts(wanted), Date.now());
    await this.#folder.writeAttempts(wanted, begun);
    this.#log.info({ names, directory: wanted.directory }, "ordering a certificate");
    try {
      const notAfterMs = await this.#order(wanted);
      await this.#folder.writeAttempts(wanted, NO_ATTEMPTS);
      const durationMs = Math.round(performance.now() - startedMs);
      const notAfter = new Date(notAfterMs).toISOString();
      this.#log.info({ names, notAfter, durationMs }, "certificate issued");
    } catch (error) {
      this.#stop.signal.throwIfAborted();
      await this.#fail(wanted, begun, toError(error));
      return;
    }
    await this.#options.onIssued();
  }

  async #fail(wanted: Wanted, begun: Attempts, error: Error): Promise<void> {
    const { type, retryAfterMs } =
      error instanceof AcmeProblem ? error : { type: "", retryAfterMs: null };
    const reason = error.message;
    const failed = failAttempt(begun, { nowMs: Date.now(), reason, retryAfterMs });
    await this.#folder.writeAttempts(wanted, failed);
    const present = await this.#folder.readCertificate(wanted);
    const { name, names } = wanted;
    const nextAttempt = new Date(failed.nextAttemptMs).toISOString();
    this.#told.set(`wait ${name}`, nextAttempt);
    const fields = {
      names,
      ...(type === "" ? {} : { type }),
      failures: failed.failures,
      nextAttempt,
      present: present === null ? null : new Date(present.notAfterMs).toISOString(),
    };
    const serving =
      present === null ? "no certificate of the authority is there yet" : "the present one stays";
    this.#log.error(fields, `certificate not issued, ${serving}: ${reason}`);
  }

  /** Orders a certificate and puts it on disk. Returns the time at which it ends. */
  async #order(wanted: Wanted): Promise<number> {
    const { email } = this.#options.settings;
    const accountKey = await this.#folder.readAccountKey(wanted.directory, makeKey);
    const keyPem = makeKey();
    const key = createPrivateKey(keyPem);
    const client = new AcmeClient({
      directory: wanted.directory,
      key: createPrivateKey(accountKey),
      email,
      signal: this.#stop.signal,
    });
    const tokens: string[] = [];
    try {
      const chain = await client.order(wanted.names, {
        publish: async (token, answer) => {
          tokens.push(token);
          this.#ownTokens.set(token, answer);
          await this.#folder.writeToken(token, answer);
          await this.#shareTokens();
        },
        published: () => delay(SHARE_MS, undefined, { signal: this.#stop.signal }),
        request: () => makeCertificateRequest(key, wanted.names),
      });
      const notAfterMs = checkChain(chain, keyPem, wanted);
      await this.#folder.publishCertificate(wanted, { chain, key: keyPem });
      return notAfterMs;
    } finally {
      this.#ownTokens = new Map();
      for (const token of tokens) await this.#folder.removeToken(token);
      await this.#shareTokens();
    }
  }
}

function covers(
  present: OrderedCertificate | null,
  { names }: Wanted,
): present is OrderedCertificate {
  return present !== null && names.every((name) => present.names.includes(name));
}

/** @throws RuntimeError when the authority sent a certificate that the server could not serve. */
function checkChain(chain: string, keyPem: string, wanted: Wanted): number {
  const cert = Buffer.from(chain);
  const place = `the certificate from ${wanted.directory}`;
  const pems = { certPath: place, keyPath: place, cert, key: Buffer.from(keyPem) };
  const checked = checkCertificate(pems, new Date());
  if (!checked.ok) throw new RuntimeError("ERR_CERTIFICATE", checked.problem);
  const missing = wanted.names.filter((name) => !checked.names.includes(name));
  if (missing.length === 0) return Date.parse(checked.certificate.validTo);
  throw new RuntimeError("ERR_CERTIFICATE", `Cannot use ${place}: it lacks ${missing.join(", ")}`);
}

/** Makes a P-256 key, in PEM. */
function makeKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}
