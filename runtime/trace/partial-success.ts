/** The part of a batch that a collector has not taken (OTLP specification, "Partial Success"). */
export interface PartialSuccess {
  readonly rejectedSpans: number;
  /** Also a warning without rejected spans. Empty: none. */
  readonly message: string;
}

const NONE: PartialSuccess = { rejectedSpans: 0, message: "" };

/** Longest message that is logged. */
const MOST_CHARACTERS = 200;

/** Parses the answer of a collector with the status 200. An answer of another form rejects nothing. */
export function parsePartialSuccess(text: string): PartialSuccess {
  if (!text.includes("partialSuccess")) return NONE;
  try {
    const value = JSON.parse(text) as { partialSuccess?: Record<string, unknown> | null } | null;
    const { rejectedSpans, errorMessage } = value?.partialSuccess ?? {};
    // Integers of 64 bits are texts in the JSON form. Some collectors send numbers.
    const count = Number(rejectedSpans ?? 0);
    return {
      rejectedSpans: Number.isSafeInteger(count) && count > 0 ? count : 0,
      message: typeof errorMessage === "string" ? errorMessage.slice(0, MOST_CHARACTERS) : "",
    };
  } catch {
    return NONE;
  }
}
