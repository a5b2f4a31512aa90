/** Version, trace id, parent id and flags. Later versions may add parts (Trace Context, section 3.2.2). */
const TRACE_PARENT =
  /^(?!ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}(?:-.*)?$/;

const MOST_CHARACTERS = 128;

/** Returns a valid `traceparent` (W3C Trace Context, section 3.2); `undefined` for any other value. */
export function toTraceParent(value: string | undefined): string | undefined {
  if (value === undefined || value.length > MOST_CHARACTERS || !TRACE_PARENT.test(value)) {
    return undefined;
  }
  // Version 00 has exactly four parts. Parts of later versions could hold any character.
  return value.startsWith("00") && value.length > 55 ? undefined : value.slice(0, 55);
}

/** Tells whether the last `traceparent` of a field block, which the primary wrote, says that its trace is sampled. */
export function isSampled(fields: string): boolean {
  const at = fields.lastIndexOf(NAME);
  return at !== -1 && fields[at + NAME.length + FLAG_AT] === "1";
}

const NAME = "traceparent\n";

/** Index of the last digit of the flags in version 00. The primary sets no other flag. */
const FLAG_AT = 54;
