import assert from "node:assert/strict";
import type { CachePolicy } from "../../runtime/lib/cache-policy.ts";
import type { BodySource, Client, ExchangeId } from "../../runtime/http/client.ts";
import type { Responder } from "../../runtime/http/responder.ts";
import { type ParsedTarget, parseTarget } from "../../runtime/http/target-path.ts";
import { ResponseCache } from "../../runtime/cache/response-cache.ts";
import { FakeClient } from "../dispatch/fake-client.ts";
import { MemoryStore } from "./memory-store.ts";

export const ON: CachePolicy = {
  maxAgeMs: null,
  staleMs: null,
  query: null,
  ignoreQuery: [],
  cookies: [],
};

/** One request that reached the responder behind the cache. */
export class Call {
  readonly client: Client;
  readonly target: ParsedTarget;
  hasLeft = false;

  constructor(client: Client, target: ParsedTarget) {
    this.client = client;
    this.target = target;
    client.onAbort(() => {
      this.hasLeft = true;
    });
  }

  reply(
    fields: string,
    body: string | Uint8Array | BodySource | null = "body",
    status = 200,
  ): void {
    this.client.reply({ status, statusText: "", fields, body, lengthBytes: null });
  }
}

/** A responder that a test answers for, behind a cache, with a clock that the test moves. */
export class Origin implements Responder {
  readonly calls: Call[] = [];
  readonly store = new MemoryStore();
  readonly cache: ResponseCache;
  readonly responder: Responder;
  nowMs = 1_000_000_000_000;
  #id = 1_000;

  constructor(policy: Partial<CachePolicy> = {}, version: string | null = null) {
    this.cache = new ResponseCache({
      openStore: () => this.store,
      nextId: () => ++this.#id as ExchangeId, // Only this test makes ids.
      now: () => this.nowMs,
    });
    this.responder = this.cache.around(this, { policy: { ...ON, ...policy }, version });
  }

  answer(client: Client, target: ParsedTarget): void {
    this.calls.push(new Call(client, target));
  }

  get call(): Call {
    const call = this.calls.at(-1);
    assert.ok(call !== undefined, "no request reached the responder");
    return call;
  }

  /** Sends a request of a visitor. */
  visit(target = "/", options: ConstructorParameters<typeof FakeClient>[1] = {}): FakeClient {
    const client = new FakeClient(++this.#id, { target, ...options });
    const parsed = parseTarget(target);
    assert.ok(parsed.ok);
    this.responder.answer(client, parsed);
    return client;
  }

  /** Makes a request whose user a rule has found out. */
  visitAs(target: string): FakeClient {
    const client = new FakeClient(++this.#id, { target });
    client.head.hasKnownUser = true;
    const parsed = parseTarget(target);
    assert.ok(parsed.ok);
    this.responder.answer(client, parsed);
    return client;
  }

  visits(
    count: number,
    target = "/",
    options: ConstructorParameters<typeof FakeClient>[1] = {},
  ): FakeClient[] {
    return Array.from({ length: count }, () => this.visit(target, options));
  }
}

/** A body that a test feeds. */
export class FedSource implements BodySource {
  onChange: (() => void) | null = null;
  state: BodySource["state"] = "open";
  isCancelled = false;
  readBytes = 0;
  #pieces: Uint8Array[] = [];

  push(bytes: Uint8Array): void {
    this.#pieces.push(bytes);
    this.onChange?.();
  }

  end(): void {
    this.state = "ended";
    this.onChange?.();
  }

  fail(): void {
    this.state = "failed";
    this.onChange?.();
  }

  read(maxBytes: number): Uint8Array | null {
    const [first] = this.#pieces;
    if (first === undefined) return null;
    const piece = first.subarray(0, maxBytes);
    if (piece.length === first.length) this.#pieces.shift();
    else this.#pieces[0] = first.subarray(piece.length);
    this.readBytes += piece.length;
    return piece;
  }

  cancel(): void {
    this.isCancelled = true;
    this.state = "failed";
    this.onChange = null;
  }
}

/** Returns status and body of a whole answer. */
export function answerOf(client: FakeClient): { status: number; fields: string; body: string } {
  const [outcome] = client.outcomes;
  assert.equal(client.outcomes.length, 1, "one outcome");
  if (outcome?.kind === "streamed") {
    return {
      status: outcome.head.status,
      fields: outcome.head.fields,
      body: String(outcome.body.taken),
    };
  }
  if (outcome?.kind === "refused") return { status: outcome.status, fields: "", body: "" };
  assert.ok(outcome?.kind === "answered", "answered");
  const { status, fields, body } = outcome.response;
  return { status, fields, body: String(body ?? "") };
}
