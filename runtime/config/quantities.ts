/** A size: bytes, or text with a unit: `"512kb"`, `"10mb"`, `"1MiB"`. Units are powers of 1024, as in nginx. */
export type Size = number | string;

/** A duration: text with a unit, `"500ms"`, `"30s"`, `"5m"`, or milliseconds: 0 or at least 1000. */
export type Duration = number | string;
