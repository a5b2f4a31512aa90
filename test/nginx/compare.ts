import { brotliDecompressSync, gunzipSync } from "node:zlib";
import type { Answer } from "./ask.ts";

/** A part of two answers that is not the same. */
export interface Deviation {
  /** `status`, `body`, or the name of a field. */
  part: string;
  nginx: string;
  ours: string;
}

/** Fields whose values are compared. */
const COMPARED = [
  "accept-ranges",
  "cache-control",
  "content-encoding",
  "content-length",
  "content-range",
  "content-type",
  "last-modified",
  "location",
  "strict-transport-security",
  "vary",
  "www-authenticate",
  "x-content-type-options",
] as const;

/**
 * Compares two answers: status, fields and bytes. The bytes of error pages may differ, and so may their types and
 * lengths. The bytes of compressed bodies are compared after decompression.
 */
export function compare(nginx: Answer, ours: Answer): Deviation[] {
  if (nginx.status !== ours.status) {
    return [{ part: "status", nginx: String(nginx.status), ours: String(ours.status) }];
  }
  const isPage = nginx.status >= 300 && nginx.status !== 304;
  const isCompressed = [nginx, ours].some(({ fields }) => fields["content-encoding"] !== undefined);
  const skipped = isPage || isCompressed ? ["content-length", "content-type"] : [];
  const deviations: Deviation[] = COMPARED.filter((name) => !skipped.includes(name)).flatMap(
    (name) => {
      const [one, other] = [nginx, ours].map(({ fields }) => normalise(fields[name]));
      return one === other ? [] : [{ part: name, nginx: one ?? "", ours: other ?? "" }];
    },
  );
  const [one, other] = [nginx, ours].map(({ fields }) =>
    fields.etag === undefined ? "absent" : "present",
  );
  if (one !== other) deviations.push({ part: "etag", nginx: one ?? "", ours: other ?? "" });
  if (!isPage && !decode(nginx).equals(decode(ours))) {
    deviations.push({ part: "body", nginx: describe(nginx), ours: describe(ours) });
  }
  return deviations;
}

/** Returns a value in lower case and without spaces; `-`: the field is absent. */
function normalise(value: string | string[] | undefined): string {
  return value === undefined ? "-" : String(value).toLowerCase().replaceAll(" ", "");
}

/** Returns the decompressed body. */
function decode({ fields, body }: Answer): Buffer {
  if (body.length === 0) return body;
  const coding = fields["content-encoding"];
  if (coding === "br") return brotliDecompressSync(body);
  return coding === "gzip" ? gunzipSync(body) : body;
}

function describe({ body }: Answer): string {
  return `${body.length} bytes: ${body.subarray(0, 40).toString("latin1")}`;
}
