import { MOST_SECONDS, type ProfileRequest } from "../../control/profiling.ts";
import type { OwnValues } from "../own-flags.ts";

const DEFAULT_SECONDS = "10";

export interface ProfileWish {
  request: ProfileRequest;
  /** The file to write; `null`: a name is made. */
  output: string | null;
}

/** Parses the words after `profile` and its flags. `problems` has one line for each mistake. */
export function parseProfile(
  words: readonly string[],
  own: OwnValues,
): { wish: ProfileWish; problems: string[] } {
  const problems: string[] = [];
  const [word] = words;
  const number = Number(word);
  const isWorker = /^\d{1,10}$/.test(word ?? "") && number > 0;
  if (word !== "primary" && !isWorker) {
    const found = word === undefined ? "nothing" : `"${word}"`;
    problems.push(
      `Cannot run profile: found ${found}, expected a worker's number or process id as edgicorn status lists it, or primary`,
    );
  }
  const text = own["seconds"]?.at(-1) ?? DEFAULT_SECONDS;
  const seconds = Number(text);
  const isLength = /^[\d.]+$/.test(text) && seconds > 0 && seconds <= MOST_SECONDS;
  if (!isLength) {
    problems.push(
      `Cannot use --seconds: found "${text}", expected a number above 0, up to ${MOST_SECONDS}`,
    );
  }
  const isHeap = own["heap"] !== undefined;
  if (isHeap && own["seconds"] !== undefined) {
    problems.push("Cannot use --seconds: found it with --heap, expected one of them");
  }
  const output = own["output"]?.at(-1) ?? null;
  if (output === "") problems.push("Cannot use --output: found no name, expected a file");
  const target = word === "primary" ? word : number;
  return {
    wish: { request: { target, kind: isHeap ? "heap" : "cpu", seconds }, output },
    problems,
  };
}
