import { toKey } from "../../runtime/cache/cache-key.ts";
import { resolveEntryAnswer } from "../../runtime/cache/entry-answer.ts";
import { EntryIndex, type Indexed } from "../../runtime/cache/entry-index.ts";
import { withAge } from "../../runtime/cache/hit-fields.ts";
import { resolveInvalidation } from "../../runtime/cache/invalidation.ts";
import { type CachePolicy, DEFAULT_POLICY } from "../../runtime/cache/policy.ts";
import {
  isServerError,
  isUsableOnError,
  resolveAccess,
  resolveReuse,
} from "../../runtime/cache/reuse.ts";
import { resolveStorage } from "../../runtime/cache/storage.ts";
import type { StoredHead } from "../../runtime/cache/stored-head.ts";
import {
  CONDITIONAL_FIELDS,
  resolveValidation,
  toConditions,
} from "../../runtime/cache/validation.ts";
import { toCanonicalEncodings, varyValues } from "../../runtime/cache/vary-values.ts";
import { dropFields } from "../../runtime/http/change-fields.ts";
import { formatBlock, parseBlock, type Field } from "../../runtime/http/field-block.ts";
import { findField } from "../../runtime/http/find-field.ts";
import { parseTarget } from "../../runtime/http/target-path.ts";
import type { CaseSettings, Fields, OriginAnswer, Step } from "./conformance.ts";

const ORIGIN = "http://example.com";

/** The answer to a client. */
export interface ModelAnswer {
  status: number;
  body: string;
  /** Field block. */
  fields: string;
}

/** An entry of the model: a head and a body. */
interface ModelEntry extends Indexed {
  head: StoredHead;
  body: string;
}

/** Returns a field block of the fields of a case. */
export function toBlock(fields: Fields): string {
  return formatBlock(
    Object.entries(fields).flatMap(([name, value]): Field[] =>
      typeof value === "string" ? [[name, value]] : value.map((line): Field => [name, line]),
    ),
  );
}

export function toPolicy(settings: CaseSettings): CachePolicy {
  const { ttlSeconds, query, obeysClients = true, targets = DEFAULT_POLICY.targets } = settings;
  return {
    ttlMsByStatus: new Map(ttlSeconds === undefined ? [] : [[200, ttlSeconds * 1000]]),
    isHeuristic: settings.heuristics === true,
    staleWhileRevalidateMs: (settings.staleWhileRevalidateSeconds ?? 0) * 1000,
    staleIfErrorMs: (settings.staleIfErrorSeconds ?? 0) * 1000,
    obeysClients,
    targets,
    query:
      query === undefined
        ? { kind: "all" }
        : "only" in query
          ? { kind: "only", names: query.only }
          : { kind: "except", names: query.except },
    cookies: settings.cookies ?? [],
  };
}

/** The cache as its decisions alone make it: synchronous, without sockets, streams or disk. */
export class ModelCache {
  /** Field blocks of the requests that the origin got before the answer to the client, and after it. */
  asked: string[] = [];
  refreshed: string[] = [];
  readonly #policy: CachePolicy;
  readonly #index = new EntryIndex<ModelEntry>();

  constructor(policy: CachePolicy) {
    this.#policy = policy;
  }

  answer(step: Step, { origin, nowMs }: { origin: OriginAnswer; nowMs: number }): ModelAnswer {
    this.asked = [];
    this.refreshed = [];
    const { method = "GET" } = step;
    const fields = toBlock(step.fields ?? {});
    const access = resolveAccess(method, fields, this.#policy);
    const target = parseTarget(step.target ?? "/");
    if (!target.ok) throw new Error(target.reason);
    const url = ORIGIN + target.pathname + target.search;
    if (access.kind === "bypass") return this.#pass({ method, url, fields }, origin);
    const key = toKey({ origin: ORIGIN, ...target, fields }, this.#policy);
    const visit: Visit = { method, fields, key, origin, nowMs, directives: access.directives };
    const entry = this.#index.find(key, fields);
    if (entry === null) {
      if (access.directives?.onlyIfCached === true) return ERROR_504;
      return method === "HEAD"
        ? this.#pass({ method, url, fields }, origin)
        : this.#fetch(visit, null, this.asked);
    }
    const reuse = resolveReuse(entry.head, access.directives, nowMs);
    switch (reuse) {
      case "serve":
        return toAnswer(entry, visit);
      case "serve-and-refresh": {
        const answer = toAnswer(entry, visit);
        this.#fetch(visit, entry, this.refreshed);
        return answer;
      }
      case "validate":
        return this.#fetch(visit, entry, this.asked);
      case "unavailable":
        return ERROR_504;
    }
  }

  #pass(
    { method, url, fields }: { method: string; url: string; fields: string },
    origin: OriginAnswer,
  ): ModelAnswer {
    this.asked.push(fields);
    const answer = toOrigin(origin);
    if (answer === null) return ERROR_504;
    for (const each of resolveInvalidation({ method, url }, answer)) {
      for (const entry of this.#index.covered({ kind: "url", url: each })) {
        this.#index.delete(entry);
      }
    }
    return answer;
  }

  #fetch(visit: Visit, stale: ModelEntry | null, asked: string[]): ModelAnswer {
    const { origin, nowMs } = visit;
    const policy = this.#policy;
    const times = { requestMs: nowMs, receivedMs: nowMs };
    const fields = toFetchFields(visit.fields, stale);
    asked.push(fields);
    const answer = toOrigin(origin);
    if (stale !== null) {
      if (answer === null || isServerError(answer.status)) {
        if (isUsableOnError(stale.head, visit.directives, nowMs)) return toAnswer(stale, visit);
        return answer ?? ERROR_504;
      }
      const validation = resolveValidation(stale.head, { fields }, answer, { policy, times });
      switch (validation.kind) {
        case "freshen": {
          const fresh = toEntry(visit, validation.head, stale.body);
          this.#index.replace(stale, fresh);
          return toAnswer(fresh, visit);
        }
        case "serve-once":
          this.#index.delete(stale);
          return { status: stale.head.status, body: stale.body, fields: validation.fields };
        case "mismatch":
          return this.#fetch(visit, null, asked);
        case "error":
          return answer;
        case "replace":
          break;
      }
    }
    if (answer === null) return ERROR_504;
    // A request without conditions cannot have this answer.
    if (answer.status === 304) return ERROR_502;
    const storage = resolveStorage({ method: "GET", fields }, answer, { policy, times });
    if (storage.kind === "refuse" || origin.isBroken === true) return answer;
    const entry = toEntry(visit, storage.head, answer.body);
    this.#index.add(entry);
    return toAnswer(entry, visit);
  }
}

interface Visit {
  method: string;
  /** Field block of the client's request. */
  fields: string;
  key: Indexed["key"];
  origin: OriginAnswer;
  nowMs: number;
  directives: Parameters<typeof resolveReuse>[1];
}

const ERROR_504: ModelAnswer = { status: 504, body: "", fields: "" };
const ERROR_502: ModelAnswer = { status: 502, body: "", fields: "" };

function toOrigin({
  status = 200,
  fields = {},
  body = "",
}: OriginAnswer): (ModelAnswer & { statusText: string }) | null {
  return status === "down" ? null : { status, statusText: "", fields: toBlock(fields), body };
}

/** The request of the cache: without the conditions of the client, and with those of the entry. */
function toFetchFields(fields: string, stale: ModelEntry | null): string {
  const kept = parseBlock(dropFields(fields, (name) => CONDITIONAL_FIELDS.has(name))).map(
    ([name, value]): Field => [
      name,
      name === "accept-encoding" ? toCanonicalEncodings(value) : value,
    ],
  );
  const conditions = stale === null ? [] : parseBlock(toConditions(stale.head));
  return formatBlock([...kept, ...conditions]);
}

function toEntry({ key, fields }: Visit, head: StoredHead, body: string): ModelEntry {
  const whole = { ...head, bodyBytes: body.length };
  return {
    key,
    vary: head.vary,
    varyValues: varyValues(head.vary, fields),
    tags: head.tags,
    receivedMs: head.receivedMs,
    head: whole,
    body,
  };
}

function toAnswer({ head, body }: ModelEntry, { method, fields, nowMs }: Visit): ModelAnswer {
  const request = { method, field: (name: string) => findField(fields, name) };
  const answer = resolveEntryAnswer(head, request, nowMs);
  const { start, lengthBytes } = answer.body ?? { start: 0, lengthBytes: 0 };
  const block = withAge(answer.fields, head, nowMs);
  return {
    status: answer.status,
    body: method === "HEAD" ? "" : body.slice(start, start + lengthBytes),
    fields: answer.body === null ? block : `${block}\ncontent-length\n${lengthBytes}`,
  };
}
