import type { Directive } from "./parse-nginx.ts";

/** A line of the old config that the new one does not carry over, or not quite. */
export interface Remark {
  /** `nginx.conf:12`. */
  place: string;
  /** The line: `gzip_static on`. */
  line: string;
  reason: string;
  /** `lost`: it has no equivalent. `changed`: it acts in another way. `todo`: something remains to do by hand. */
  kind: "lost" | "changed" | "todo";
}

/** Collects the remarks of an import, in the order of the lines. */
export class Report {
  readonly remarks: Remark[] = [];
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
  lost(directive: Directive, reason: string): void {
    this.#add(directive, reason, "lost");
  }

  /** The line is carried over, but acts in another way. */
  changed(directive: Directive, reason: string): void {
    this.#add(directive, reason, "changed");
  }

  /** The line is carried over once the user has done something. */
  todo(directive: Directive, reason: string): void {
    this.#add(directive, reason, "todo");
  }

  #add(directive: Directive, reason: string, kind: Remark["kind"]): void {
    const remark = { place: directive.place, line: showDirective(directive), reason, kind };
    const isKnown = this.remarks.some(
      (other) =>
        other.place === remark.place && other.line === remark.line && other.reason === reason,
    );
    if (isKnown) return;
    this.remarks.push(remark);
    this.#section?.notes.push(remark);
  }
}

/** Longest line of the old config that a remark repeats. */
const MOST_CHARACTERS = 100;

function showDirective({ name, args, block }: Directive): string {
  const words = [
    name,
    ...args.map((arg) => (/^[^\s;{}"']+$/.test(arg) ? arg : JSON.stringify(arg))),
  ];
  const line = `${words.join(" ")}${block === null ? "" : " { ... }"}`;
  return line.length > MOST_CHARACTERS ? `${line.slice(0, MOST_CHARACTERS - 3)}...` : line;
}
