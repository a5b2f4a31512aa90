/**
 * Limits for the head of a request. They count characters as bytes: nearly all characters of a valid head are ASCII.
 */
export interface HeadLimits {
  /** Size of request line and fields together. */
  headerLimitBytes: number;
  /** Number of fields. */
  headerCountLimit: number;
  /** Size of path and query. */
  urlLimitBytes: number;
}

export interface HeadSize {
  requestLineBytes: number;
  /** Size of path and query within the request line. */
  targetBytes: number;
  fields: number;
  fieldsBytes: number;
}

/** Settings by the names under which they are set. */
export type HeadSetting = "headerLimit" | "headerCountLimit" | "urlLimit";

/** The empty line after the fields. */
const LAST_LINE_BYTES = 2;

/**
 * Number of bytes beyond the limit up to which Edgicorn itself refuses a head. It reads such a head to its end and
 * counts, logs and answers the request. The library refuses even larger heads while it reads them: it resets the
 * connection, and the answer may be lost.
 */
export const HEADER_SLACK_BYTES = 4 * 1024;

/** Returns the setting whose limit a head breaks, with the status of the answer; `null`: none. Pure. */
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
