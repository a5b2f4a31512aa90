/** The data that the cases send and expect, made once, so that the check before the load and the load agree. */

/** Field names and values. The sender adds `Host` and `Content-Length`. */
export type Fields = readonly (readonly [name: string, value: string])[];

/** Eight fields as a browser sends them with a form that posts JSON. */
export const BROWSER_FIELDS: Fields = [
  ["User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36"],
  ["Accept", "application/json, text/plain, */*"],
  ["Accept-Language", "en-US,en;q=0.9,de;q=0.8"],
  ["Accept-Encoding", "gzip, deflate, br"],
  ["Origin", "http://localhost:8080"],
  ["Referer", "http://localhost:8080/shop/cart"],
  ["Cookie", "session=0123456789abcdef0123456789abcdef; theme=dark"],
  ["Content-Type", "application/json"],
];

/** An order of 1 KiB, as `JSON.stringify` formats it: an echo is equal byte by byte. */
export const JSON_1K = jsonOfSize(1024);

/** A list of about 4 KiB, as the handler of `json-4k` makes it. */
export const JSON_4K = JSON.stringify({
  items: Array.from({ length: 91 }, (_, id) => ({
    id,
    title: `Item ${id * 7919}`,
    price: (id * 37) / 10,
  })),
});

/** The fields of a client that takes one coding only. */
export const TAKES_GZIP: Fields = [["Accept-Encoding", "gzip"]];

/** A file of the static cases. */
export interface PublicFile {
  readonly name: string;
  readonly sizeBytes: number;
}

export const PUBLIC_FILES = {
  "1k": { name: "1k.txt", sizeBytes: 1024 },
  "100k": { name: "100k.txt", sizeBytes: 100 * 1024 },
  "10m": { name: "10m.txt", sizeBytes: 10 * 1024 ** 2 },
} as const satisfies Record<string, PublicFile>;

/** The content of a file: numbered lines, so that no two parts of it are the same. */
export function publicFileText({ sizeBytes }: PublicFile): string {
  const lineChars = 64;
  const lines = Array.from({ length: Math.ceil(sizeBytes / lineChars) }, (_, index) =>
    `line ${index} `.padEnd(lineChars - 1, "abcdefghijklmnopqrstuvwxyz").concat("\n"),
  );
  return lines.join("").slice(0, sizeBytes);
}

function jsonOfSize(sizeBytes: number): string {
  const order = {
    id: 4711,
    customer: { name: "Ada Lovelace", email: "ada@example.com", isNew: false },
    items: Array.from({ length: 8 }, (_, id) => ({ id, title: "An item", price: 9.5, count: 2 })),
    note: "",
  };
  const missing = sizeBytes - JSON.stringify(order).length;
  return JSON.stringify({ ...order, note: "n".repeat(missing) });
}
