import type { ErrorCode } from "../lib/errors.ts";
import type { BuildOptions } from "./build.ts";
import type { Manifest } from "./manifest.ts";

/** Parent to build process, once. */
export type ToBuild = Omit<BuildOptions, "signal">;

/** Build process to parent, once. An error without a code is a bug; it comes with its stack. */
export type FromBuild =
  | { type: "built"; manifest: Manifest }
  | { type: "failed"; code: ErrorCode | null; message: string; inputs: readonly string[] };
