import type { CompressionLevel } from "../compress/encoders.ts";
import type { CacheRules } from "../lib/cache-rules.ts";
import { IMMUTABLE } from "../lib/cache-rules.ts";
import { isCompressibleType, LEAST_BYTES } from "../compress/compressible.ts";
import { parseFileGlob } from "../lib/file-glob.ts";
import { isHashedName } from "./hashed-name.ts";

/** Settings that decide which paths a folder answers, and how long clients keep the files. */
export interface FileSettings {
  cacheControl: CacheRules;
  /** `about.html` also answers `/about`. `redirect`: and `/about.html` leads there. */
  cleanUrls: boolean | "redirect";
  /** Slash at the end of the paths of pages. `auto`: a folder has one, another page has none. */
  trailingSlash: "auto" | "always" | "never";
  /** Text without a compressed sibling is compressed once. */
  compression: boolean;
  compressionLevel: CompressionLevel;
}

/** Largest file that is compressed. The whole of it is in memory meanwhile. */
const MOST_BYTES = 10 * 1024 * 1024;

/** As without any setting. */
export const DEFAULT_FILE_SETTINGS: FileSettings = Object.freeze({
  cacheControl: Object.freeze({ isAutomatic: true, rules: Object.freeze([]) }),
  cleanUrls: true,
  trailingSlash: "auto",
  compression: true,
  compressionLevel: "balanced",
});

/** These settings, ready for use. */
export class FilePolicy {
  readonly cleanUrls: FileSettings["cleanUrls"];
  readonly trailingSlash: FileSettings["trailingSlash"];
  /** How files are compressed; `null`: they are not. */
  readonly compressionLevel: CompressionLevel | null;
  readonly #isAutomatic: boolean;
  readonly #rules: readonly { expression: RegExp; value: string | null }[];

  constructor(settings: FileSettings) {
    const { cacheControl, cleanUrls, trailingSlash, compression, compressionLevel } = settings;
    this.compressionLevel = compression ? compressionLevel : null;
    this.cleanUrls = cleanUrls;
    this.trailingSlash = trailingSlash;
    this.#isAutomatic = cacheControl.isAutomatic;
    this.#rules = cacheControl.rules.flatMap(([pattern, value]) => {
      const expression = parseFileGlob(pattern);
      return expression === null ? [] : [{ expression, value }];
    });
  }

  /** Tells whether a file without a compressed sibling is compressed. */
  compresses(contentType: string, sizeBytes: number): boolean {
    if (this.compressionLevel === null) return false;
    return sizeBytes >= LEAST_BYTES && sizeBytes <= MOST_BYTES && isCompressibleType(contentType);
  }

  /**
   * Returns the `Cache-Control` of a file; `null`: none.
   *
   * Without a rule, a hashed name may be kept for a year. All other files are revalidated each time, which mostly ends
   * in a 304: otherwise a browser would guess how long it may use an old script with a new page (RFC 9111 section
   * 4.2.2).
   *
   * @param path Decoded path of the file itself, such as `/docs/index.html`.
   * @param siblings Names of all files in its folder.
   */
  cacheControlOf(path: string, siblings: Iterable<string> = []): string | null {
    for (const { expression, value } of this.#rules) if (expression.test(path)) return value;
    if (!this.#isAutomatic) return null;
    return isHashedName(path, siblings) ? IMMUTABLE : "no-cache";
  }
}

/** The policy without any setting. */
export const DEFAULT_POLICY = new FilePolicy(DEFAULT_FILE_SETTINGS);
