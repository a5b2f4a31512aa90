/** Forms of a body of a message: how `send` writes it, and in which form the handler gets it. */
export const CONTENT_TYPES = ["json", "text", "bytes", "v8"] as const;

/** `v8`: a value that `structuredClone` could copy. */
export type ContentType = (typeof CONTENT_TYPES)[number];
