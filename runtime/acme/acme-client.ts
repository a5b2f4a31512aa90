import type { KeyObject } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import * as z from "zod/mini";
import { packageVersion } from "../lib/package-version.ts";
import { signRequest, toPublicJwk, toThumbprint } from "./jws.ts";

/** A refusal of the authority (RFC 8555 section 6.7), or an answer that it should not give. */
export class AcmeProblem extends Error {
  /** Name of the problem, such as `urn:ietf:params:acme:error:rateLimited`. */
  readonly type: string;
  /** Time for which the authority wants no further try. */
  readonly retryAfterMs: number | null;

  constructor(message: string, { type = "", retryAfterMs = null }: Partial<ProblemFacts> = {}) {
    super(message);
    this.name = "AcmeProblem";
    this.type = type;
    this.retryAfterMs = retryAfterMs;
  }
}

interface ProblemFacts {
  type: string;
  retryAfterMs: number | null;
}

export interface AcmeClientOptions {
  /** URL of the directory. */
  directory: string;
  /** Key of the account: P-256. */
  key: KeyObject;
  email: string | null;
  signal: AbortSignal;
}

/** The steps of an order that the caller carries out. */
export interface OrderSteps {
  /** Publishes the answer for a token. Resolves when clients can get it. */
  publish: (token: string, answer: string) => Promise<void>;
  /** Resolves when all servers that share the names can answer for the published tokens. */
  published: () => Promise<void>;
  /** Returns the certificate request, in DER. */
  request: () => Buffer;
}

/** Most tries of a request whose nonce the authority refuses (RFC 8555 section 6.5). */
const MOST_TRIES = 5;

/** Longest time for one request. */
const REQUEST_MS = 30_000;

/** Longest time for the authority to check a name, and to issue the certificate. */
const MOST_POLLS_MS = 180_000;

/** First time between two looks at an order. It grows up to ten times. */
const POLL_MS = 300;

const MOST_ANSWER_BYTES = 1024 * 1024;

const directorySchema = z.object({
  newNonce: z.string(),
  newAccount: z.string(),
  newOrder: z.string(),
});

const orderSchema = z.object({
  status: z.string(),
  authorizations: z.array(z.string()),
  finalize: z.string(),
  certificate: z.optional(z.string()),
  error: z.optional(z.unknown()),
});

const challengeSchema = z.object({
  type: z.string(),
  url: z.string(),
  token: z.optional(z.string()),
  error: z.optional(z.unknown()),
});

const authorizationSchema = z.object({
  status: z.string(),
  identifier: z.object({ value: z.string() }),
  challenges: z.array(challengeSchema),
});

const problemSchema = z.object({
  type: z.optional(z.string()),
  detail: z.optional(z.string()),
  subproblems: z.optional(z.array(z.object({ detail: z.optional(z.string()) }))),
});

/** Orders certificates of an authority that speaks ACME (RFC 8555), by HTTP-01. */
export class AcmeClient {
  readonly #options: AcmeClientOptions;
  #directory: z.infer<typeof directorySchema> | null = null;
  #account: string | null = null;
  /** A nonce for the next request; `null`: one must be fetched. */
  #nonce: string | null = null;

  constructor(options: AcmeClientOptions) {
    this.#options = options;
  }

  /**
   * Orders one certificate for these names.
   *
   * @returns The chain in PEM, the server's certificate first.
   * @throws AcmeProblem with the authority's reason; the error of `fetch`; the signal's reason.
   */
  async order(names: readonly string[], steps: OrderSteps): Promise<string> {
    await this.#openAccount();
    const { newOrder } = await this.#readDirectory();
    const identifiers = names.map((value) => ({ type: "dns", value }));
    const made = await this.#post(newOrder, { identifiers });
    const orderUrl = made.location;
    if (orderUrl === null) throw new AcmeProblem("the order has no URL");
    const order = parseAnswer(orderSchema, made.body);
    await this.#prove(order.authorizations, steps);
    const ready = await this.#waitFor(orderUrl, ["ready", "processing", "valid"]);
    if (ready.status === "ready") {
      await this.#post(ready.finalize, { csr: steps.request().toString("base64url") });
    }
    const { certificate } = await this.#waitFor(orderUrl, ["valid"]);
    if (certificate === undefined)
      throw new AcmeProblem("the order is valid, and has no certificate");
    const { text } = await this.#post(certificate, null);
    return text;
  }

  /** Proves the control of all names. Begins all proofs before it waits for the first. */
  async #prove(urls: readonly string[], { publish, published }: OrderSteps): Promise<void> {
    const pending: { url: string; challengeUrl: string }[] = [];
    const thumbprint = toThumbprint(toPublicJwk(this.#options.key));
    for (const url of urls) {
      const authorization = parseAnswer(authorizationSchema, (await this.#post(url, null)).body);
      if (authorization.status === "valid") continue;
      const challenge = authorization.challenges.find(({ type }) => type === "http-01");
      const { token } = challenge ?? {};
      if (challenge === undefined || token === undefined || !/^[\w-]{1,256}$/.test(token)) {
        const name = authorization.identifier.value;
        throw new AcmeProblem(`the authority offers no HTTP-01 challenge for ${name}`);
      }
      await publish(token, `${token}.${thumbprint}`);
      pending.push({ url, challengeUrl: challenge.url });
    }
    if (pending.length === 0) return;
    await published();
    for (const { challengeUrl } of pending) await this.#post(challengeUrl, {});
    for (const { url } of pending) await this.#waitForProof(url);
  }

  async #waitForProof(url: string): Promise<void> {
    await this.#poll(async () => {
      const answer = await this.#post(url, null);
      const { status, identifier, challenges } = parseAnswer(authorizationSchema, answer.body);
      if (status === "valid") return { done: null };
      if (status === "pending") return { retryAfterMs: answer.retryAfterMs };
      const failed = challenges.find(({ error }) => error !== undefined);
      const { type, detail } = describeProblem(failed?.error);
      throw new AcmeProblem(`${identifier.value}: ${detail || status}`, { type });
    });
  }

  async #waitFor(url: string, statuses: readonly string[]): Promise<z.infer<typeof orderSchema>> {
    return this.#poll(async () => {
      const answer = await this.#post(url, null);
      const order = parseAnswer(orderSchema, answer.body);
      if (statuses.includes(order.status)) return { done: order };
      if (order.status !== "invalid") return { retryAfterMs: answer.retryAfterMs };
      const { type, detail } = describeProblem(order.error);
      throw new AcmeProblem(detail || "the order is invalid", { type });
    });
  }

  async #poll<T>(look: () => Promise<{ done: T } | { retryAfterMs: number | null }>): Promise<T> {
    const deadlineMs = performance.now() + MOST_POLLS_MS;
    for (let wait = POLL_MS; ; wait = Math.min(wait * 1.5, 10 * POLL_MS)) {
      const result = await look();
      if ("done" in result) return result.done;
      if (performance.now() > deadlineMs) {
        throw new AcmeProblem(`the authority took more than ${MOST_POLLS_MS / 1000} s`);
      }
      const pauseMs = Math.min(result.retryAfterMs ?? wait, 30_000);
      await delay(pauseMs, null, { signal: this.#options.signal });
    }
  }

  async #openAccount(): Promise<void> {
    if (this.#account !== null) return;
    const { newAccount } = await this.#readDirectory();
    const { email } = this.#options;
    const contact = email === null ? {} : { contact: [`mailto:${email}`] };
    const { location } = await this.#post(newAccount, { termsOfServiceAgreed: true, ...contact });
    if (location === null) throw new AcmeProblem("the account has no URL");
    this.#account = location;
  }

  async #readDirectory(): Promise<z.infer<typeof directorySchema>> {
    if (this.#directory === null) {
      const { directory } = this.#options;
      const response = await this.#fetch(directory, { method: "GET" });
      if (!response.ok) throw await toProblem(response);
      this.#directory = parseAnswer(directorySchema, (await readAnswer(response)).body);
    }
    return this.#directory;
  }

  /** Sends a signed request. Repeats it when the authority refuses its nonce. */
  async #post(url: string, payload: object | null): Promise<Answer> {
    for (let tries = 1; ; tries++) {
      const nonce = await this.#takeNonce();
      const body = signRequest(this.#options.key, { nonce, url, kid: this.#account }, payload);
      const headers = { "content-type": "application/jose+json" };
      const response = await this.#fetch(url, { method: "POST", headers, body });
      this.#nonce = response.headers.get("replay-nonce");
      if (response.ok) return readAnswer(response);
      const problem = await toProblem(response);
      if (!problem.type.endsWith(":badNonce") || tries === MOST_TRIES) throw problem;
    }
  }

  async #takeNonce(): Promise<string> {
    const kept = this.#nonce;
    this.#nonce = null;
    if (kept !== null) return kept;
    const { newNonce } = await this.#readDirectory();
    const response = await this.#fetch(newNonce, { method: "HEAD" });
    const nonce = response.headers.get("replay-nonce");
    if (nonce === null) throw new AcmeProblem("the authority gave no nonce");
    return nonce;
  }

  async #fetch(url: string, init: RequestInit): Promise<Response> {
    const signal = AbortSignal.any([this.#options.signal, AbortSignal.timeout(REQUEST_MS)]);
    const headers = new Headers(init.headers);
    headers.set("user-agent", `edgicorn/${packageVersion()}`);
    try {
      return await fetch(url, { ...init, headers, signal, redirect: "error" });
    } catch (error) {
      this.#options.signal.throwIfAborted();
      throw new AcmeProblem(`cannot reach ${new URL(url).host}: ${describeCause(error)}`);
    }
  }
}

interface Answer {
  /** `null`: the body is no JSON. */
  body: unknown;
  text: string;
  location: string | null;
  retryAfterMs: number | null;
}

async function readAnswer(response: Response): Promise<Answer> {
  const text = await response.text();
  if (text.length > MOST_ANSWER_BYTES) throw new AcmeProblem("the authority's answer is too large");
  const isJson = response.headers.get("content-type")?.includes("json") === true;
  return {
    body: isJson ? parseJson(text) : null,
    text,
    location: response.headers.get("location"),
    retryAfterMs: readRetryAfter(response),
  };
}

async function toProblem(response: Response): Promise<AcmeProblem> {
  const text = await response.text().catch(() => "");
  const { type, detail } = describeProblem(parseJson(text));
  return new AcmeProblem(detail || `the authority answered ${response.status}`, {
    type,
    retryAfterMs: readRetryAfter(response),
  });
}

/** Returns `null` for text that is no JSON: a proxy answered, or the server is down. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** @throws AcmeProblem for an answer without the members that are needed. */
function parseAnswer<T>(schema: z.ZodMiniType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const [first] = parsed.error.issues;
  const place = first === undefined || first.path.length === 0 ? "" : ` (${first.path.join(".")})`;
  throw new AcmeProblem(`the answer has not the form that RFC 8555 describes${place}`);
}

function describeProblem(value: unknown): { type: string; detail: string } {
  const parsed = problemSchema.safeParse(value);
  if (!parsed.success) return { type: "", detail: "" };
  const { type = "", detail = "", subproblems = [] } = parsed.data;
  const details = [detail, ...subproblems.map((each) => each.detail ?? "")];
  return { type, detail: details.filter((each) => each !== "").join("; ") };
}

/** Reads `Retry-After` (RFC 9110 section 10.2.3): seconds or a date. */
function readRetryAfter({ headers }: Response): number | null {
  const value = headers.get("retry-after");
  if (value === null) return null;
  if (/^\d{1,8}$/.test(value)) return Number(value) * 1000;
  const dateMs = Date.parse(value);
  return Number.isNaN(dateMs) ? null : Math.max(0, dateMs - Date.now());
}

/** `fetch` hides the reason in the cause of its error. */
function describeCause(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (!(cause instanceof Error)) return error.message;
  return cause.message || ("code" in cause ? String(cause.code) : error.message);
}
