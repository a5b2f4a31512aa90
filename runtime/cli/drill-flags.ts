import { EXERCISE_NAMES, type ExerciseName, wordOf } from "../drill/exercise-names.ts";
import { pickNearest } from "../lib/nearest.ts";

/** Flags that only a drill has, as the user typed them. */
export interface DrillFlags {
  brief?: boolean;
  seconds?: string;
  path?: string;
  only?: string;
}

/** Flags of a drill that have a value. */
export const DRILL_VALUES = ["only", "path", "seconds"] as const;

/** The options of a drill. */
export interface DrillRequest {
  /** The short form, for every change. */
  brief: boolean;
  /** The path that clients request; `null`: the drill picks a route. */
  path: string | null;
  /** Duration of the load in each exercise; `null`: the exercise decides. */
  seconds: number | null;
  /** The exercises to run; `null`: all. */
  only: readonly ExerciseName[] | null;
}

const MOST_SECONDS = 3600;

/** Parses the flags of a drill. `problems` has one line for each mistake. */
export function parseDrillFlags(flags: DrillFlags): { request: DrillRequest; problems: string[] } {
  const { brief = false, seconds, path, only } = flags;
  const problems: string[] = [];
  if (seconds !== undefined && !(Number(seconds) > 0 && Number(seconds) <= MOST_SECONDS)) {
    problems.push(
      `Cannot use --seconds: found "${seconds}", expected a number above 0, up to ${MOST_SECONDS}`,
    );
  }
  if (path !== undefined && !/^\/[!-~]*$/.test(path)) {
    problems.push(
      `Cannot use --path: found "${path}", expected a path that begins with "/", encoded as in a URL`,
    );
  }
  const request = {
    brief,
    path: path ?? null,
    seconds: seconds === undefined ? null : Number(seconds),
    only: only === undefined ? null : parseNames(only, problems),
  };
  return { request, problems };
}

/** Parses `kill-a-worker,reload`, or the same names with spaces, as the drill prints them. */
function parseNames(list: string, problems: string[]): ExerciseName[] {
  const words = list.split(",").map((word) => word.trim().replaceAll(/\s+/g, "-"));
  const unknown = new Set(words.filter((word) => findName(word) === undefined));
  for (const word of unknown) {
    const nearest = pickNearest(word, EXERCISE_NAMES.map(wordOf));
    const hint = nearest === null ? "" : ` (did you mean "${nearest}"?)`;
    const expected = EXERCISE_NAMES.map(wordOf).join(", ");
    problems.push(`Cannot use --only: found "${word}"${hint}, expected some of ${expected}`);
  }
  return words.flatMap((word) => findName(word) ?? []);
}

function findName(word: string): ExerciseName | undefined {
  return EXERCISE_NAMES.find((name) => wordOf(name) === word.toLowerCase());
}
