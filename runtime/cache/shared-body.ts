import type { BodySource } from "../http/client.ts";
import type { EntryWriter, StoredEntry } from "./store.ts";

/** Most bytes that wait in memory for readers. */
const MOST_HELD_BYTES = 1024 * 1024;

const READ_BYTES = 64 * 1024;

/** Largest body that is fetched to its end for the store alone, when all its readers have left. */
const FINISHED_ALONE_BYTES = 1024 * 1024;

export interface SharedBodyOptions {
  /** Takes a copy of each byte. */
  writer: EntryWriter;
  /** Size of the body; `null`: unknown. */
  lengthBytes: number | null;
  /** Called once when all bytes were stored (`null`: they were not) or the body broke off. No reader is added after it. */
  onEnd: (entry: StoredEntry | null) => void;
  /** Stores the body: called once, when it arrived whole. */
  commit: (writer: EntryWriter, callback: (entry: StoredEntry | null) => void) => void;
}

/**
 * A body that arrives once, and is stored and read by several visitors meanwhile, each at its own speed.
 *
 *     filling ──inner body ended──▶ storing ──▶ stored
 *        └─ broke off, all readers left ──▶ failed
 *
 * Invariants:
 *
 * - The inner body is read as fast as the fastest reader takes it, with at most `MOST_HELD_BYTES` in advance. A slow
 *   reader holds no other one back: the bytes that it misses in memory come from the store, once the body is stored.
 * - While the store has given up, nothing but the memory has the bytes. The slowest reader sets the pace then, and readers
 *   that already miss bytes break off.
 * - A body that breaks off is broken for each reader, and is not stored.
 */
export class SharedBody {
  readonly #source: BodySource;
  readonly #options: SharedBodyOptions;
  readonly #readers = new Set<SharedReader>();
  /** The held bytes. The first one begins at `#baseBytes`. */
  readonly #pieces: Buffer[] = [];
  #baseBytes = 0;
  #endBytes = 0;
  #state: "filling" | "storing" | "stored" | "failed" = "filling";
  #entry: StoredEntry | null = null;
  #isPumping = false;

  /** Call `start` once the first readers are open. */
  constructor(source: BodySource, options: SharedBodyOptions) {
    this.#source = source;
    this.#options = options;
  }

  /** Begins to read the inner body. */
  start(): void {
    this.#source.onChange = () => this.pump();
    this.pump();
  }

  /** A reader that begins with the first byte can still be opened. */
  get isJoinable(): boolean {
    return this.#state !== "failed" && (this.#baseBytes === 0 || this.#options.writer.isStoring);
  }

  /** Opens a reader of a part. A part needs a body of known size. */
  open(range: { start: number; lengthBytes: number } | null): BodySource {
    const { lengthBytes } = this.#options;
    const start = range?.start ?? 0;
    const end = range === null ? lengthBytes : start + range.lengthBytes;
    const reader = new SharedReader(this, { start, end });
    if (this.#state === "failed") reader.break();
    else this.#readers.add(reader);
    return reader;
  }

  /** Reads the inner body as far as the readers need it. */
  pump(): void {
    if (this.#isPumping || this.#state !== "filling") return;
    this.#isPumping = true;
    const { writer } = this.#options;
    let hasNew = false;
    while (this.#endBytes - this.#paceBytes() < MOST_HELD_BYTES) {
      const piece = this.#source.read(READ_BYTES);
      if (piece === null) break;
      hasNew = true;
      const copy = Buffer.from(piece);
      this.#pieces.push(copy);
      this.#endBytes += copy.length;
      writer.push(copy);
      this.#drop();
    }
    this.#isPumping = false;
    const { state } = this.#source;
    if (state === "failed") this.#fail();
    else if (state === "ended") this.#store();
    else if (hasNew) this.#tell();
  }

  /** Returns the bytes at an offset; `null`: they are not here yet, or not any more. */
  bytesAt(offset: number, maxBytes: number): Uint8Array | null {
    let at = this.#baseBytes;
    if (offset < at) return null;
    for (const piece of this.#pieces) {
      if (offset < at + piece.length) {
        return piece.subarray(offset - at, Math.min(piece.length, offset - at + maxBytes));
      }
      at += piece.length;
    }
    return null;
  }

  /** Size of the body, once all of it arrived; `null`: it has not. */
  get wholeBytes(): number | null {
    return this.#state === "storing" || this.#state === "stored" ? this.#endBytes : null;
  }

  /** The bytes before this offset are in the store alone. */
  get baseBytes(): number {
    return this.#baseBytes;
  }

  /** The stored body; `null`: it is not stored yet. */
  get entry(): StoredEntry | null {
    return this.#entry;
  }

  /** The store takes no bytes: the bytes that memory has dropped are lost. */
  get isLost(): boolean {
    if (this.#state === "stored") return this.#entry === null;
    return this.#state === "filling" && !this.#options.writer.isStoring;
  }

  /** Notes that a reader has read on, and that the inner body may be needed. */
  moved(): void {
    if (this.#state === "filling") this.pump();
    this.#drop();
  }

  /** Notes that a reader needs no more. */
  remove(reader: SharedReader): void {
    if (!this.#readers.delete(reader)) return;
    if (this.#readers.size > 0 || this.#state !== "filling") {
      this.moved();
      return;
    }
    const { lengthBytes, writer } = this.#options;
    if (writer.isStoring && lengthBytes !== null && lengthBytes <= FINISHED_ALONE_BYTES) {
      this.pump();
    } else {
      this.#source.onChange = null;
      this.#source.cancel();
      this.#fail();
    }
  }

  /** Offset of the reader that sets the pace of the inner body. */
  #paceBytes(): number {
    let pace: number | null = null;
    const isStoring = this.#options.writer.isStoring;
    for (const { offset, isDelegated } of this.#readers) {
      if (isDelegated) continue;
      pace = pace === null ? offset : isStoring ? Math.max(pace, offset) : Math.min(pace, offset);
    }
    // Without a reader, the body is fetched to its end.
    return pace ?? this.#endBytes;
  }

  /** Drops held bytes that no reader needs from memory. */
  #drop(): void {
    let needed = this.#endBytes;
    for (const { offset, isDelegated } of this.#readers) {
      if (!isDelegated) needed = Math.min(needed, offset);
    }
    // A body that is small enough to be held as a whole stays, for visitors that come later.
    const keepsAll = this.#endBytes <= MOST_HELD_BYTES && this.#state === "filling";
    const isFull = (): boolean => this.#endBytes - this.#baseBytes > MOST_HELD_BYTES;
    for (let first = this.#pieces[0]; first !== undefined; first = this.#pieces[0]) {
      const end = this.#baseBytes + first.length;
      const isRead = end <= needed && !keepsAll;
      if (!isRead && !(isFull() && this.#options.writer.isStoring)) return;
      this.#pieces.shift();
      this.#baseBytes = end;
    }
  }

  #store(): void {
    this.#state = "storing";
    this.#source.onChange = null;
    const { writer, commit, onEnd } = this.#options;
    commit(writer, (entry) => {
      this.#state = "stored";
      this.#entry = entry;
      onEnd(entry);
      this.#tell();
    });
    if (this.#state === "storing") this.#tell();
  }

  #fail(): void {
    if (this.#state !== "filling") return;
    this.#state = "failed";
    this.#source.onChange = null;
    this.#options.writer.abort();
    this.#pieces.length = 0;
    this.#options.onEnd(null);
    for (const reader of this.#readers) reader.break();
    this.#readers.clear();
  }

  #tell(): void {
    for (const reader of this.#readers) reader.wake();
  }
}

/** One visitor's view of a shared body. */
class SharedReader implements BodySource {
  onChange: (() => void) | null = null;
  readonly #body: SharedBody;
  #offset: number;
  /** End of the part; `null`: the end of the body, which is not known yet. */
  #end: number | null;
  #isBroken = false;
  #isOver = false;
  /** The rest, from the store; `null`: it is not read from there. */
  #rest: BodySource | null = null;
  #isOpening = false;

  constructor(body: SharedBody, { start, end }: { start: number; end: number | null }) {
    this.#body = body;
    this.#offset = start;
    this.#end = end;
  }

  get offset(): number {
    return this.#offset;
  }

  /** The reader needs no bytes of the shared body any more. */
  get isDelegated(): boolean {
    return this.#isOver || this.#isOpening || this.#rest !== null || this.#misses;
  }

  get state(): BodySource["state"] {
    if (this.#isBroken) return "failed";
    if (this.#rest !== null) return this.#rest.state;
    return this.#offset === this.#knownEnd ? "ended" : "open";
  }

  get wholeBytes(): number | null {
    if (this.#rest !== null) return this.#rest.wholeBytes ?? null;
    const isWhole = this.#body.wholeBytes !== null && !this.#misses;
    return isWhole ? (this.#knownEnd ?? 0) - this.#offset : null;
  }

  /** The answer had begun when its body broke off. */
  get failedAs(): number {
    return 502;
  }

  read(maxBytes: number): Uint8Array | null {
    if (this.#rest !== null) return this.#rest.read(maxBytes);
    if (this.#isBroken || this.#isOver) return null;
    const left = (this.#knownEnd ?? Infinity) - this.#offset;
    let piece = left === 0 ? null : this.#body.bytesAt(this.#offset, Math.min(maxBytes, left));
    if (piece === null && left > 0) {
      this.#body.moved();
      piece = this.#body.bytesAt(this.#offset, Math.min(maxBytes, left));
    }
    if (piece === null) {
      this.#openRest();
      return null;
    }
    this.#offset += piece.length;
    if (this.#offset === this.#knownEnd) this.#leave();
    else this.#body.moved();
    return piece;
  }

  cancel(): void {
    this.onChange = null;
    this.#isBroken ||= this.state !== "ended";
    if (this.#rest !== null) {
      this.#rest.onChange = null;
      this.#rest.cancel();
    }
    this.#leave();
  }

  /** Notes that bytes have arrived, or that the body is stored. */
  wake(): void {
    if (this.#isBroken) return;
    if (this.#misses) this.#openRest();
    if (this.#offset === this.#knownEnd) this.#leave();
    this.onChange?.();
  }

  /** Notes that the rest will not come. */
  break(): void {
    if (this.#rest !== null || this.#isOpening || this.state === "ended") return;
    this.#isBroken = true;
    this.#isOver = true;
    this.onChange?.();
  }

  get #knownEnd(): number | null {
    return this.#end ?? this.#body.wholeBytes;
  }

  /** Memory has dropped the next bytes. */
  get #misses(): boolean {
    return this.#offset < this.#body.baseBytes && this.#offset !== this.#knownEnd;
  }

  /** Goes on with the stored body, if memory has dropped the next bytes. */
  #openRest(): void {
    if (!this.#misses || this.#isOpening || this.#rest !== null) return;
    const { entry, isLost } = this.#body;
    if (entry === null) {
      if (isLost) this.break();
      return;
    }
    this.#isOpening = true;
    const end = this.#knownEnd ?? entry.head.bodyBytes;
    entry.openBody({ start: this.#offset, lengthBytes: end - this.#offset }, (rest) => {
      if (this.#isBroken) {
        rest?.cancel();
        return;
      }
      this.#isOpening = false;
      if (rest === null) {
        this.break();
        return;
      }
      this.#rest = rest;
      rest.onChange = () => this.onChange?.();
      this.#leave();
      this.onChange?.();
    });
  }

  #leave(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#body.remove(this);
  }
}
