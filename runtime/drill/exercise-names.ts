/** The exercises, in order. Exercises with the same settings are neighbours, because starting a server takes time. */
export const EXERCISE_NAMES = [
  "nothing",
  "kill a worker",
  "freeze a loop",
  "break a deploy",
  "reload",
  "swap a certificate",
  "fill the queue",
  "shrink memory",
] as const;

export type ExerciseName = (typeof EXERCISE_NAMES)[number];

/** The name as one word of a command line: `kill-a-worker`. */
export function wordOf(name: ExerciseName): string {
  return name.replaceAll(" ", "-");
}
