import { explainMissing } from "./missing-global.ts";

/** Advice for failures of loading a module, by Node's message. */
const HINTS: readonly [found: RegExp, advice: string][] = [
  [
    /^(?:Unknown file extension "\.\w+" for |Stripping types is currently unsupported for files under node_modules)/,
    "Node does not load such files, and a package is compiled only where a handler imports them: use a build of the package",
  ],
  [
    /^(?:(?:module|exports|require) is not defined in ES module scope|Cannot determine intended module format)/,
    'a file with import or export, or with a top-level await, is an ES module: use "export"',
  ],
  [
    /reading '(?:VITE_\w+|MODE|DEV|PROD|SSR|BASE_URL)'\)$/,
    "import.meta.env is Vite's: use process.env",
  ],
];

/** Returns advice for an error that a module has thrown while it was loaded; `null` where none is known. */
export function explainLoadError(error: Error): string | null {
  if ("code" in error && error.code === "ERR_DLOPEN_FAILED") {
    return 'its machine code was built for another system or version of Node: run "npm rebuild"';
  }
  const known = HINTS.find(([found]) => found.test(error.message));
  return known?.[1] ?? explainMissing(error);
}
