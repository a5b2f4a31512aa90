import { spawnSync } from "node:child_process";

/** Interpreters that a test may use: `PYTHON` of the environment, then the system's, which has the packages of Debian. */
const CANDIDATES = [process.env["PYTHON"] ?? [], "/usr/bin/python3", "python3"].flat();

/** Least version that workers run on. */
const LEAST = "import sys; assert sys.version_info >= (3, 9)";

/**
 * Returns an interpreter that has these packages, `null` if there is none.
 *
 * @param packages Names of modules: `flask`.
 */
export function findPython(packages: readonly string[] = []): string | null {
  const program = [LEAST, ...packages.map((name) => `import ${name}`)].join("\n");
  const hasAll = (python: string): boolean =>
    spawnSync(python, ["-c", program], { stdio: "ignore" }).status === 0;
  return CANDIDATES.find(hasAll) ?? null;
}

/** Returns the reason to skip a test on a machine without these packages; `false`: it runs. */
export function skipWithoutPython(packages: readonly string[] = []): string | false {
  if (findPython(packages) !== null) return false;
  const names = packages.length === 0 ? "" : ` with ${packages.join(", ")}`;
  return `this machine has no Python 3.9 or later${names}`;
}
