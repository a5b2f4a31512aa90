import type { ShadowRequest } from "../../control/shadowing.ts";
import type { OwnValues } from "../own-flags.ts";

export interface ShadowWish {
  /** Origin of the old server: `https://old.example.com`. */
  old: string;
  request: ShadowRequest;
  /** Names of fields, in lower case, that may differ besides those of `IGNORED_FIELDS`. */
  ignored: readonly string[];
  /** The old server gets the host of the visitor instead of its own. */
  keepHost: boolean;
  /** Length of the comparison; `null`: until a signal. */
  seconds: number | null;
}

const MOST_SECONDS = 7 * 24 * 3600;

const DEFAULT_SAMPLE = "5%";

/** Parses the words after `shadow` and its flags. `problems` has one line for each mistake. */
export function parseShadow(
  words: readonly string[],
  own: OwnValues,
): { wish: ShadowWish; problems: string[] } {
  const problems: string[] = [];
  const [word] = words;
  const url = word !== undefined && URL.canParse(word) ? new URL(word) : null;
  const isOrigin =
    url !== null &&
    /^https?:$/.test(url.protocol) &&
    url.href === `${url.origin}/` &&
    !word?.endsWith("?");
  if (!isOrigin) {
    // A URL may have a password.
    const isShown = url === null || (url.username === "" && url.password === "");
    const found = word === undefined ? "nothing" : isShown ? `"${word}"` : "a URL with a password";
    problems.push(
      `Cannot run shadow: found ${found}, expected scheme and host of the old server, without path: https://old.example.com`,
    );
  }
  const sample = own["sample"]?.at(-1) ?? DEFAULT_SAMPLE;
  const percent = /^(\d{1,3}(?:\.\d{1,6})?)%$/.exec(sample)?.[1];
  const share = percent === undefined ? Number.NaN : Number(percent) / 100;
  if (!(share > 0 && share <= 1)) {
    problems.push(
      `Cannot use --sample: found "${sample}", expected a percentage above 0%, up to 100%`,
    );
  }
  const text = own["seconds"]?.at(-1) ?? null;
  const seconds = text === null ? null : /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (seconds !== null && !(seconds > 0 && seconds <= MOST_SECONDS)) {
    problems.push(`Cannot use --seconds: found "${text}", expected a number up to ${MOST_SECONDS}`);
  }
  const ignored = (own["ignore"] ?? []).flatMap((names) => names.split(","));
  const wrong = ignored.find((name) => !/^[\w!#$%&'*+\-.^`|~]+$/.test(name));
  if (wrong !== undefined) {
    problems.push(
      `Cannot use --ignore: found "${wrong}", expected names of fields: x-version,x-id`,
    );
  }
  const withCredentials = own["with-credentials"] !== undefined;
  return {
    wish: {
      old: url?.origin ?? "",
      request: { share, withCredentials },
      ignored: ignored.map((name) => name.toLowerCase()),
      keepHost: own["keep-host"] !== undefined,
      seconds,
    },
    problems,
  };
}
