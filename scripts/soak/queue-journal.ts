/**
 * One line of the journal. The handler writes "begin" and "end" of each run of a message; the soak writes the rest:
 * "kill" before it kills a process, "killed" when the process is gone, and "empty" when the store has no message left.
 */
export type JournalLine =
  | { readonly kind: "begin" | "end"; readonly id: string }
  | { readonly kind: "kill" | "killed" | "empty" };

/** The deliveries that a journal shows. */
export interface JournalReport {
  /** Ids of messages of which a run began. */
  readonly begun: ReadonlySet<string>;
  /** Ids of messages of which a run came to its end. */
  readonly ended: ReadonlySet<string>;
  /** How many runs began that were not the first of their message. */
  readonly repeats: number;
  /** Ids of messages that ran again although no process was killed since their run before. */
  readonly unexplained: readonly string[];
  /** Ids of messages that ran again although the store had removed them. */
  readonly revived: readonly string[];
}

/** Reads a journal. A process that was killed may have left a line without its end: such lines are left out. */
export function parseJournal(text: string): JournalLine[] {
  return text.split("\n").flatMap((line): JournalLine[] => {
    const [kind, id = "", end] = line.split(" ");
    if (kind === "kill" || kind === "killed" || kind === "empty") return [{ kind }];
    return (kind === "begin" || kind === "end") && end === "." ? [{ kind, id }] : [];
  });
}

/**
 * Judges all runs. A kill happens at some time between "kill" and "killed". A message may run again if a kill may have come between
 * the begins of its two runs, unless the store was seen empty after its last run.
 */
export function judgeJournal(lines: readonly JournalLine[]): JournalReport {
  const lastBegin = new Map<string, number>();
  const ended = new Set<string>();
  const unexplained: string[] = [];
  const revived: string[] = [];
  let repeats = 0;
  let lastKill = Number.NEGATIVE_INFINITY;
  let lastEmpty = Number.NEGATIVE_INFINITY;
  let isKilling = false;
  for (const [at, line] of lines.entries()) {
    switch (line.kind) {
      case "kill":
        isKilling = true;
        break;
      case "killed":
        isKilling = false;
        lastKill = at;
        break;
      case "empty":
        lastEmpty = at;
        break;
      case "end":
        ended.add(line.id);
        break;
      case "begin": {
        const before = lastBegin.get(line.id);
        if (before !== undefined) {
          repeats++;
          if (before < lastEmpty) revived.push(line.id);
          else if (!isKilling && before > lastKill) unexplained.push(line.id);
        }
        lastBegin.set(line.id, at);
      }
    }
  }
  return { begun: new Set(lastBegin.keys()), ended, repeats, unexplained, revived };
}
