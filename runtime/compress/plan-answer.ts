import { type ContentCoding, pickCoding } from "../http/content-coding.ts";
import { findField } from "../http/find-field.ts";
import { withVary } from "../http/vary.ts";
import { toCodedTag } from "./coded-tag.ts";
import { isCompressibleType, LEAST_BYTES } from "./compressible.ts";

/** An answer before its compression. */
export interface AnswerHead {
  status: number;
  /** Field block. */
  fields: string;
  /** `null`: unknown. */
  sizeBytes: number | null;
}

/** Decides whether an answer is compressed. */
export interface AnswerPlan {
  /** `null`: it is not. */
  coding: ContentCoding | null;
  /** The fields of the answer under this coding. */
  fields: string;
  /** The fields if the answer stays plain after all. */
  plainFields: string;
}

/** Decisions that follow from the fields of an answer alone; `null`: it leaves as it is. */
interface FieldsPlan {
  plainFields: string;
  /** It is a part of a representation. */
  isPart: boolean;
}

/** Decisions by field block. Few different blocks occur, and deciding anew takes 2 µs. */
export type FieldsPlans = Map<string, FieldsPlan | null>;

/** Most decisions that are kept, and the length of the longest block. Longer ones have a cookie or a date. */
const MOST_PLANS = 256;
const MOST_CHARACTERS = 512;

/**
 * Decides how an answer of a handler is compressed.
 *
 * Stays plain: all but text, bodies below {@link LEAST_BYTES}, everything with a coding, a range or a digest, and
 * `no-transform` (RFC 9111 section 5.2.2.6). A request from another site (`Sec-Fetch-Site`) gets plain text, too: by
 * the sizes of compressed answers, another site could find out secrets in them (BREACH).
 *
 * @param requestFields Field block of the request.
 * @param codings The available codings, the preferred one first.
 * @param plans Earlier decisions, to which this one is added.
 * @returns `null`: the answer leaves as it is, and would for any client.
 */
export function planAnswer(
  { status, fields, sizeBytes }: AnswerHead,
  requestFields: string,
  codings: readonly ContentCoding[],
  plans: FieldsPlans = new Map(),
): AnswerPlan | null {
  if (sizeBytes !== null && sizeBytes < LEAST_BYTES) return null;
  if (status === 204 || status === 205) return null;
  if (status === 304) return planUnchanged(fields, requestFields, codings);
  const planned = recallFields(fields, plans);
  if (planned === null) return null;
  const { plainFields, isPart } = planned;
  const plain = { coding: null, fields: plainFields, plainFields };
  if (status === 206 || isPart) return plain;
  if (findField(requestFields, "sec-fetch-site") === "cross-site") return plain;
  const coding = pickCoding(findField(requestFields, "accept-encoding"), codings);
  if (coding === null) return plain;
  const coded = toCodedFields(plainFields, coding);
  return { coding, fields: `${coded}\ncontent-encoding\n${coding}`, plainFields };
}

function recallFields(fields: string, plans: FieldsPlans): FieldsPlan | null {
  const known = plans.get(fields);
  if (known !== undefined) return known;
  const planned = planFields(fields);
  if (fields.length <= MOST_CHARACTERS) {
    if (plans.size >= MOST_PLANS) plans.clear();
    plans.set(fields, planned);
  }
  return planned;
}

function planFields(fields: string): FieldsPlan | null {
  const type = findField(fields, "content-type");
  if (type === undefined || !isCompressibleType(type)) return null;
  const names = namesOf(fields);
  if (KEPT.some((name) => names.has(name)) || forbidsTransform(fields)) return null;
  const plainFields = withVary(fields, "accept-encoding");
  return { plainFields, isPart: names.has("content-range") };
}

/** An answer with one of these fields has a coding already, or would be false with one. */
const KEPT = ["content-encoding", "content-digest", "repr-digest", "digest", "content-md5"];

function forbidsTransform(fields: string): boolean {
  return /\bno-transform\b/i.test(findField(fields, "cache-control") ?? "");
}

/** A 304 has the tag of the answer that the client has, and the `vary` of that answer. */
function planUnchanged(
  fields: string,
  requestFields: string,
  codings: readonly ContentCoding[],
): AnswerPlan {
  const etag = findField(fields, "etag");
  const known = findField(requestFields, "if-none-match");
  const varied = withVary(fields, "accept-encoding");
  const coding =
    etag === undefined || known === undefined
      ? undefined
      : codings.find((each) => known.includes(toCodedTag(etag, each)));
  const unchanged = coding === undefined ? varied : toCodedFields(varied, coding);
  return { coding: null, fields: unchanged, plainFields: unchanged };
}

/**
 * Returns the fields with the tag of a coding, and without the length and the ranges of the plain body. A body that is
 * made anew for each client has no ranges.
 */
function toCodedFields(fields: string, coding: ContentCoding): string {
  const parts = fields.split("\n");
  const kept: string[] = [];
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const [name = "", value = ""] = parts.slice(at, at + 2);
    if (name === "content-length" || name === "accept-ranges") continue;
    kept.push(name, name === "etag" ? toCodedTag(value, coding) : value);
  }
  return kept.join("\n");
}

function namesOf(fields: string): ReadonlySet<string> {
  return new Set(fields.split("\n").filter((_, at) => at % 2 === 0));
}
