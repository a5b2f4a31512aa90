import type { Stats } from "node:fs";

import type { Validators } from "../http/conditional.ts";
import type { CompressionLevel } from "../compress/encoders.ts";
import type { ContentCoding } from "../http/content-coding.ts";
import { DEFAULT_POLICY, type FilePolicy } from "./file-policy.ts";

/** The entry of a path of the public folder. */
export type StaticEntry = StaticFile | StaticRedirect;

/** Another path of a page: `/docs` of the page `/docs/`. */
export interface StaticRedirect {
  readonly kind: "redirect";
  /** Decoded path to go to. It is a path of the folder, so it begins with exactly one slash. */
  readonly path: string;
}

/** A file on disk. */
export interface FileSource {
  /** Canonical absolute path: no component was a symbolic link when the path was checked. */
  readonly realPath: string;
  readonly version: FileVersion;
}

/** Identifies the content of a file: equal versions have equal content. */
export interface FileVersion {
  readonly device: number;
  readonly inode: number;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  /** Time of the inode's last change. It differs even where a copy keeps the time of modification. */
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
 * The fields are built on first use, because a server sends only a small part of a large tree.
 */
export class StaticFile implements Validators {
  readonly kind = "file";
  readonly source: FileSource;
  readonly contentType: string;
  readonly coding: ContentCoding | null;
  /** The same content under content codings, in order of preference. A variant has no variants itself. */
  variants: readonly StaticFile[];
  /** Decoded path of the file itself, also for a variant: `/docs/index.html`. */
  readonly path: string;
  readonly #policy: FilePolicy;
  /** Has the names of all files in the same folder. */
  readonly #siblings: ReadonlyMap<string, unknown>;
  /** Codings of the variants, in the same order. */
  codings: readonly ContentCoding[];
  /** The server made this variant, and can make it again. It has no ranges. */
  readonly isMade: boolean;
  /** The file has no compressed sibling, and gets a compressed form if a client asks for it. */
  readonly isCompressible: boolean;
  /** A compressible file for which no compression was begun. */
  isUncompressed: boolean;
  /** The whole content while it is held in memory. */
  bytes: Buffer | null = null;
  /** `bytes` were served since memory was last short. */
  isRecentlyUsed = false;
  /** The file is no longer the entry of its path, so memory must not keep its content. */
  isRetired = false;
  /** The time of the last check that the file on disk has this version. */
  checkedAtMs = 0;
  readonly #dated: FileVersion;
  #needsContentTag: boolean;
  #contentTag: string | null = null;
  #etag: string | null = null;
  #fields: string | null = null;

  constructor(
    source: FileSource,
    representation: {
      path: string;
      contentType: string;
      coding?: ContentCoding;
      variants?: readonly StaticFile[];
      policy?: FilePolicy;
      siblings?: ReadonlyMap<string, unknown>;
      /** The file of which the server made this variant. It has the date. */
      madeOf?: StaticFile;
    },
  ) {
    this.source = source;
    this.path = representation.path;
    this.#policy = representation.policy ?? DEFAULT_POLICY;
    this.#siblings = representation.siblings ?? NO_SIBLINGS;
    this.#needsContentTag = !isTelling(source.version.modifiedMs);
    this.contentType = representation.contentType;
    this.coding = representation.coding ?? null;
    this.variants = representation.variants ?? NO_VARIANTS;
    this.codings = this.variants.flatMap((variant) => variant.coding ?? []);
    this.isMade = representation.madeOf !== undefined;
    this.#dated = representation.madeOf?.source.version ?? source.version;
    const hasSibling = this.coding !== null || this.variants.length > 0;
    this.isCompressible = !hasSibling && this.#policy.compresses(this.contentType, this.sizeBytes);
    this.isUncompressed = this.isCompressible;
  }

  /** Uses variants that the server made, in order of preference. */
  useMade(made: readonly StaticFile[]): void {
    this.variants = made;
    this.codings = this.variants.flatMap((variant) => variant.coding ?? []);
  }

  /** How the file is compressed; `null`: it is not. */
  get compressionLevel(): CompressionLevel | null {
    return this.#policy.compressionLevel;
  }

  /** Returns a variant of this file that the server made. */
  toMade(source: FileSource, coding: ContentCoding): StaticFile {
    const { contentType, path } = this;
    return new StaticFile(source, {
      contentType,
      path,
      coding,
      policy: this.#policy,
      siblings: this.#siblings,
      madeOf: this,
    });
  }

  get sizeBytes(): number {
    return this.source.version.sizeBytes;
  }

  /**
   * Tells whether `contentTag` must be set before `etag` is read: another version of the file may have the same time of
   * modification, see {@link isTelling}.
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
   * A strong tag, made of the size, of the time of modification in microseconds or the content tag, and of the coding:
   * a coded form is another representation. Equal on all machines that have the file with this time.
   */
  get etag(): string {
    this.#etag ??= toEtag(this.source.version, {
      contentTag: this.#contentTag,
      coding: this.coding,
    });
    return this.#etag;
  }

  get lastModifiedMs(): number | null {
    const { modifiedMs, changedMs } = this.#dated;
    if (!isRealTime(modifiedMs)) return null;
    // A server must not send a date in the future (RFC 9110 section 8.8.2.1). The inode's time never is in the future.
    return Math.floor(Math.min(modifiedMs, changedMs) / 1000) * 1000;
  }

  /** Field block of a 200 or 206, without the fields that depend on the request. Begins with `content-type`. */
  get fields(): string {
    this.#fields ??= this.#toFields();
    return this.#fields;
  }

  /** Fields of a 200 that guide caches (RFC 9110 section 15.4.5). */
  get cacheFields(): string {
    const cacheControl = this.#policy.cacheControlOf(this.path, this.#siblings.keys());
    let fields = `etag\n${this.etag}`;
    if (cacheControl !== null) fields += `\ncache-control\n${cacheControl}`;
    if (this.isNegotiated) fields += "\nvary\naccept-encoding";
    return fields;
  }

  #toFields(): string {
    const { lastModifiedMs } = this;
    let fields = `content-type\n${this.contentType}\n${this.cacheFields}`;
    if (lastModifiedMs !== null) {
      fields += `\nlast-modified\n${new Date(lastModifiedMs).toUTCString()}`;
    }
    fields += "\naccept-ranges\nbytes\nx-content-type-options\nnosniff";
    if (this.coding !== null) fields += `\ncontent-encoding\n${this.coding}`;
    return fields;
  }

  /** Tells whether `Accept-Encoding` influenced the choice of this representation. */
  get isNegotiated(): boolean {
    return this.coding !== null || this.isCompressible || this.variants.length > 0;
  }
}

const NO_SIBLINGS: ReadonlyMap<string, unknown> = new Map();
const NO_VARIANTS: readonly StaticFile[] = Object.freeze([]);

/**
 * Tells whether a time distinguishes versions of a file. A time of whole seconds may come from an archive or a build
 * that gives all versions the same time: `npm pack` (1985), tar and container images, `SOURCE_DATE_EPOCH`. Or it may
 * come from a file system with whole seconds only. Two writes never have the same microsecond by accident.
 */
function isTelling(modifiedMs: number): boolean {
  return modifiedMs % 1000 !== 0 && isRealTime(modifiedMs);
}

/**
 * Tells whether a time is the time of an edit, and fits into an HTTP-date. Reproducible builds give every file a fixed
 * time: the start of 1970 (Nix stores, container images), 1980 (zip archives, Gradle), 1985 (`npm pack`), 2000 (Bazel).
 * Such a time never changes, so a `last-modified` made of it would never change either.
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
