const MOST_WARM_UPS = 100;

/** A target of a request line: visible ASCII. */
const TARGET = /^\/[!-~]*$/;

/** Returns the paths of the key `warmup` that are paths. Refuses all others. */
export function readWarmUp(
  value: unknown,
  refuse: (key: string, value: unknown, expected: string) => void,
): string[] {
  if (!Array.isArray(value) || value.length > MOST_WARM_UPS) {
    refuse("warmup", value, `a list of at most ${MOST_WARM_UPS} paths: ["/"]`);
    return [];
  }
  return value.filter((path: unknown, index): path is string => {
    if (typeof path === "string" && TARGET.test(path)) return true;
    refuse(`warmup[${index}]`, path, 'a path that begins with "/", encoded as in a URL');
    return false;
  });
}
