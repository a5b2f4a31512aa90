import type { Stats } from "node:fs";

import type { Validators } from "../http/conditional.ts";
import type { ContentCoding } from "../http/content-coding.ts";

/** The entry of a path of the public folder. */
export type StaticEntry = StaticFile | StaticRedirect;

/** A folder that was asked for without its last slash and has an index page. */
export interface StaticRedirect {
  readonly kind: "redirect";
  /** Absolute path with its slash, percent-encoded. */
  readonly location: string;
}

/** A file as it lies on disk. */
export interface FileSource {
  /** Canonical absolute path: no component of it was a symbolic link when it was looked at. */
  readonly realPath: string;
  readonly version: FileVersion;
}

/** Equal versions, equal content. */
export interface FileVersion {
  readonly device: number;
  readonly inode: number;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  /** Of the inode: moves even where a copy keeps the time of modification. */
  readonly changedMs: number;
}

export function toFileVersion(stats: Stats): FileVersion {
  return {
    device: stats.dev,
    inode: stats.ino,
    sizeBytes: stats.size,
    modifiedMs: stats.mtimeMs,
    changedMs: stats.ctimeMs,
  };
}

export function isSameVersion(stats: Stats, version: FileVersion): boolean {
  return (
    stats.mtimeMs === version.modifiedMs &&
    stats.size === version.sizeBytes &&
    stats.ino === version.inode &&
    stats.ctimeMs === version.changedMs &&
    stats.dev === version.device
  );
}

/**
 * One version of one file, ready to be served. Another version is another object.
 *
 * The fields are built when first asked for: of a large tree only a small part is ever served.
 */
export class StaticFile implements Validators {
  readonly kind = "file";
  readonly source: FileSource;
  readonly contentType: string;
  readonly coding: ContentCoding | null;
  /** The same content under content codings, in order of preference; of these themselves always empty. */
  readonly variants: readonly StaticFile[];
  /** Of the variants, in their order. */
  readonly codings: readonly ContentCoding[];
  /** The whole content while it is held in memory. */
  bytes: Buffer | null = null;
  /** Whether `bytes` were served since memory was last short. */
  isRecentlyUsed = false;
  /** No longer the entry of its path: not worth a place in memory. */
  isRetired = false;
  /** When the file on disk was last seen to be this version. */
  checkedAtMs = 0;
  #needsContentTag: boolean;
  #contentTag: string | null = null;
  #etag: string | null = null;
  #fields: string | null = null;

  constructor(
    source: FileSource,
    representation: {
      contentType: string;
      coding?: ContentCoding;
      variants?: readonly StaticFile[];
    },
  ) {
    this.source = source;
    this.#needsContentTag = !isTelling(source.version.modifiedMs);
    this.contentType = representation.contentType;
    this.coding = representation.coding ?? null;
    this.variants = representation.variants ?? NO_VARIANTS;
    this.codings = this.variants.flatMap((variant) => variant.coding ?? []);
  }

  get sizeBytes(): number {
    return this.source.version.sizeBytes;
  }

  /**
   * Whether `contentTag` is to be set before the entity tag is asked for: the time of modification may be that of
   * another version of the file, see {@link isTelling}.
   */
  get needsContentTag(): boolean {
    return this.#needsContentTag;
  }

  /** Identifies the content: hexadecimal digits. */
  set contentTag(tag: string) {
    this.#contentTag = tag;
    this.#needsContentTag = false;
    this.#etag = null;
    this.#fields = null;
  }

  /**
   * A strong tag of the size, the time of modification in microseconds or the content tag, and the coding, which makes
   * another representation. Equal on all machines that have the file with this time.
   */
  get etag(): string {
    this.#etag ??= toEtag(this.source.version, {
      contentTag: this.#contentTag,
      coding: this.coding,
    });
    return this.#etag;
  }

  get lastModifiedMs(): number | null {
    const { modifiedMs, changedMs } = this.source.version;
    if (!isRealTime(modifiedMs)) return null;
    // A date in the future must not be sent (RFC 9110 section 8.8.2.1). The inode's own time never is one.
    return Math.floor(Math.min(modifiedMs, changedMs) / 1000) * 1000;
  }

  /** Field block of a 200 or 206, without the fields that depend on the request. */
  get fields(): string {
    this.#fields ??= this.#toFields();
    return this.#fields;
  }

  #toFields(): string {
    const { lastModifiedMs } = this;
    let fields = `content-type\n${this.contentType}\netag\n${this.etag}`;
    if (lastModifiedMs !== null) {
      fields += `\nlast-modified\n${new Date(lastModifiedMs).toUTCString()}`;
    }
    fields += "\naccept-ranges\nbytes\nx-content-type-options\nnosniff";
    if (this.coding !== null) fields += `\ncontent-encoding\n${this.coding}`;
    if (this.isNegotiated) fields += "\nvary\naccept-encoding";
    return fields;
  }

  /** Whether `Accept-Encoding` had a say in the choice of this representation. */
  get isNegotiated(): boolean {
    return this.coding !== null || this.variants.length > 0;
  }
}

const NO_VARIANTS: readonly StaticFile[] = Object.freeze([]);

/**
 * Whether a time tells one version of a file from the next. A time of whole seconds may come from an archive or a build
 * that gives each version the same one: `npm pack` (1985), tar and container images, `SOURCE_DATE_EPOCH`; or from a
 * file system that has no finer ones. Two writes never have the same microsecond by accident.
 */
function isTelling(modifiedMs: number): boolean {
  return modifiedMs % 1000 !== 0 && isRealTime(modifiedMs);
}

/**
 * Reproducible builds set every file's time to a fixed one: the start of 1970 (Nix stores, container images), 1980 (zip
 * archives, Gradle), 1985 (`npm pack`), 2000 (Bazel). It would never change, so neither would a date made of it. Dates
 * that an HTTP-date cannot hold are no better.
 */
function isRealTime(modifiedMs: number): boolean {
  return modifiedMs > AFTER_FIXED_TIMES && modifiedMs < END_OF_HTTP_DATES;
}

const AFTER_FIXED_TIMES = Date.UTC(2000, 0, 3);
const END_OF_HTTP_DATES = Date.UTC(10_000, 0, 1);

function toEtag(
  version: FileVersion,
  { contentTag, coding }: { contentTag: string | null; coding: ContentCoding | null },
): string {
  const timeMs = isRealTime(version.modifiedMs) ? version.modifiedMs : version.changedMs;
  const size = version.sizeBytes.toString(16);
  const state = contentTag ?? Math.round(timeMs * 1000).toString(16);
  return coding === null ? `"${size}-${state}"` : `"${size}-${state}-${coding}"`;
}
