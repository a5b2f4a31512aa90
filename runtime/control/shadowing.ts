/** A request for samples of the traffic, which `edgicorn shadow` compares with an old server. */
export interface ShadowRequest {
  /** Share of the requests, above 0 and up to 1. */
  share: number;
  /** Samples have `cookie` and `authorization` of visitors. */
  withCredentials: boolean;
}

/** The body of an answer, after its content coding was undone. */
export type SampledBody =
  /** There is none: to HEAD, and with a status such as 204. */
  | { kind: "none" }
  /** It is too large, or its coding is not known. */
  | { kind: "unknown" }
  /** `text`: the body itself, if it is a short text. */
  | { kind: "digest"; lengthBytes: number; sha256: string; text: string | null };

/** A request of a visitor, and facts of the answer that the visitor got. */
export interface ShadowSample {
  type: "sample";
  method: string;
  /** Path and query. */
  target: string;
  origin: string;
  fields: [name: string, value: string][];
  /** Site and route that count the request. */
  route: string;
  status: number;
  /** Fields in lower case. `set-cookie` has only the names of cookies. */
  answerFields: [name: string, value: string][];
  body: SampledBody;
  counts: ShadowCounts;
}

/** Sampled requests without a sample, since the begin of the stream. */
export interface ShadowCounts {
  /** Conditional requests, ranges and WebSockets: an old server would answer them in another way. */
  skipped: number;
  /** There were too many at a time, or the reader took them too slowly. */
  dropped: number;
  /** The visitor left, or the answer broke off. */
  broken: number;
}

/** An event of the stream. The first one is `begun`. */
export type ShadowEvent = { type: "begun" } | ShadowSample;

/** The form of a request, for messages. */
export const SHADOW_EXPECTED =
  '{"share": a number above 0 and up to 1, "withCredentials": true or false}';

/** Parses the body of a request; `null`: it has another form. */
export function parseShadowRequest(body: string): ShadowRequest | null {
  let value: Partial<Record<keyof ShadowRequest, unknown>> | null;
  try {
    // Members of another type are refused below.
    value = JSON.parse(body) as typeof value;
  } catch {
    return null;
  }
  const { share, withCredentials } = value ?? {};
  if (typeof share !== "number" || !(share > 0 && share <= 1)) return null;
  return typeof withCredentials === "boolean" ? { share, withCredentials } : null;
}
