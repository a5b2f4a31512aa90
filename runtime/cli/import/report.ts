/** A line of the old config that the new one does not carry over, or not quite. */
export interface Remark {
  /** `nginx.conf:12`. */
  place: string;
  /** The line as it is written: `gzip_static on`. */
  line: string;
  reason: string;
  /**
   * `lost`: it has no equivalent. `changed`: it acts in another way. `todo`: something remains to do by hand. `unused`: it has no
   * effect here, and needs no look.
   */
  kind: "lost" | "changed" | "todo" | "unused";
}

/** A line that a remark is about. */
export interface Line {
  readonly place: string;
  readonly text: string;
}

/** Collects the remarks of an import, in the order of the lines. */
export class Report {
  readonly remarks: Remark[] = [];
  readonly #known = new Set<string>();
  #section: { notes: Remark[] } | null = null;

  /** Puts the remarks from now on also into the notes of this section of the new config. */
  into<T>(section: { notes: Remark[] }, work: () => T): T {
    const before = this.#section;
    this.#section = section;
    try {
      return work();
    } finally {
      this.#section = before;
    }
  }

  /** The line has no equivalent. */
  lost(line: Line, reason: string): void {
    this.#add(line, reason, "lost");
  }

  /** The line is one of several with the same reason: the first of them has the remark. */
  lostOnce(line: Line, reason: string): void {
    if (!this.remarks.some((remark) => remark.reason === reason)) this.lost(line, reason);
  }

  /** The line is carried over, but acts in another way. */
  changed(line: Line, reason: string): void {
    this.#add(line, reason, "changed");
  }

  /** The line is carried over once the user has done something. */
  todo(line: Line, reason: string): void {
    this.#add(line, reason, "todo");
  }

  /** The line has no effect here, and nothing is missing without it. */
  unused(line: Line, reason: string): void {
    this.#add(line, reason, "unused");
  }

  #add({ place, text }: Line, reason: string, kind: Remark["kind"]): void {
    const remark = { place, line: shorten(text), reason, kind };
    const key = JSON.stringify([place, text, reason]);
    // Several servers may include one file.
    if (this.#known.has(key)) return;
    this.#known.add(key);
    this.remarks.push(remark);
    if (kind !== "unused") this.#section?.notes.push(remark);
  }
}

/** Longest line of the old config that a remark repeats. */
const MOST_CHARACTERS = 100;

function shorten(line: string): string {
  return line.length > MOST_CHARACTERS ? `${line.slice(0, MOST_CHARACTERS - 3)}...` : line;
}
