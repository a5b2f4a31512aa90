import { createRequire } from "node:module";

/** Returns the version of this package. */
export function packageVersion(): string {
  const require = createRequire(import.meta.url);
  // Source and compiled code are in different folders, so the package finds itself by its name.
  const { version } = require("edgicorn/package.json") as { version: string };
  return version;
}
