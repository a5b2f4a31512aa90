/** How large a request's head may be. Characters count as bytes: all but a few that no client should send are ASCII. */
export interface HeadLimits {
  /** Request line and fields together. */
  headerLimitBytes: number;
  /** Fields, however long. */
  headerCountLimit: number;
  /** Path and query. */
  urlLimitBytes: number;
}

export interface HeadSize {
  requestLineBytes: number;
  /** The part of it that is path and query. */
  targetBytes: number;
  fields: number;
  fieldsBytes: number;
}

/** Settings by the names under which they are set. */
export type HeadSetting = "headerLimit" | "headerCountLimit" | "urlLimit";

/** The empty line after the fields. */
const LAST_LINE_BYTES = 2;

/**
 * A head that is up to so much too large is read all the same and refused by us: the answer is one of ours then, in the
 * log and in the counters, and nothing of the head is left unread, which would reset the connection and lose the
 * answer. One that is even larger the library refuses while it reads.
 */
export const HEADER_SLACK_BYTES = 4 * 1024;

/** Which limit a head breaks, if any, and the status that says so. Pure. */
export function findHeadBreach(
  { requestLineBytes, targetBytes, fields, fieldsBytes }: HeadSize,
  limits: HeadLimits,
): { setting: HeadSetting; status: 414 | 431 } | null {
  if (targetBytes > limits.urlLimitBytes) return { setting: "urlLimit", status: 414 };
  if (fields > limits.headerCountLimit) return { setting: "headerCountLimit", status: 431 };
  if (requestLineBytes + fieldsBytes + LAST_LINE_BYTES > limits.headerLimitBytes) {
    return { setting: "headerLimit", status: 431 };
  }
  return null;
}
