import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Config } from "../../config/config.ts";
import { RuntimeError } from "../../lib/errors.ts";

/** Import name of `uws-pack`, or of the official package where the operator installed that one instead. */
const ALIAS = "uWebSockets.js";
const NEWER = "@btc-vision/uwebsockets.js";
const PACK = "uws-pack";

/** Setting `uws`: which packages may be loaded. */
export type UwsChoice = Config["uws"];

type UwsPackage = Exclude<UwsChoice, "auto">;

/** Packages with binaries of uWebSockets.js, the preferred one first (docs/dependencies.md). */
const PREFERENCE: readonly UwsPackage[] = [ALIAS, NEWER, PACK];

/** Mark file in a package from which `edgicorn prune` removed the binaries for other systems. */
export const PRUNED_MARK = "pruned-by-edgicorn";

/** A package with binaries, as it is installed. */
export interface InstalledUws {
  /** The name to import. */
  specifier: string;
  /** The name in the package's manifest. A build by the operator may have any name. */
  name: string;
  version: string;
  /** Absolute. */
  dir: string;
}

/** A package that was not used, with the reason. */
export interface FailedUws {
  /** `uws-pack 20.0.8`, or the name alone where the package is not installed. */
  label: string;
  /** `needs glibc 2.38`. */
  reason: string;
  isPruned: boolean;
  /** True when the operator installed it instead of `uws-pack`. */
  isOwn: boolean;
}

/**
 * Finds the installed packages that the setting allows, the preferred one first, and the expected ones that are
 * missing.
 *
 * With `auto`, a package that the operator installed instead of `uws-pack` comes first.
 */
export function findUwsPackages(choice: UwsChoice): {
  installed: InstalledUws[];
  missing: FailedUws[];
} {
  const newer = findPackage(NEWER);
  const aliased = findPackage(ALIAS);
  const isPack = aliased?.name === PACK;
  const found: Record<UwsPackage, InstalledUws | null> = {
    [ALIAS]: isPack ? null : aliased,
    [NEWER]: newer,
    [PACK]: isPack ? aliased : null,
  };
  const wanted = choice === "auto" ? PREFERENCE : [choice];
  const installed = wanted.map((name) => found[name]).filter((uws) => uws !== null);
  // A replacement for `uws-pack` is optional, so it is not reported as missing.
  const ours: readonly UwsPackage[] = aliased === null ? [NEWER, PACK] : [NEWER];
  const expected = choice === "auto" ? ours : [choice];
  const missing = expected
    .filter((name) => found[name] === null)
    .map((label) => ({ label, reason: "is not installed", isPruned: false, isOwn: false }));
  return { installed, missing };
}

/** Returns the name and version of a package for messages: `uws-pack 20.0.8`. */
export function labelOf({ name, version }: Pick<InstalledUws, "name" | "version">): string {
  return `${name} ${version}`;
}

/** Tells whether the operator installed this package instead of `uws-pack`. */
export function isOwnPackage({ name }: Pick<InstalledUws, "name">): boolean {
  return name !== NEWER && name !== PACK;
}

/** Describes why a package's binary cannot be loaded, from the error of the attempt. */
export function explainFailure(uws: InstalledUws, error: unknown): FailedUws {
  return {
    label: labelOf(uws),
    reason: toReason(error instanceof Error ? error.message : String(error)),
    isPruned: existsSync(join(uws.dir, PRUNED_MARK)),
    isOwn: isOwnPackage(uws),
  };
}

/** The properties of a machine that decide which binaries load. */
export interface Machine {
  platform: string;
  arch: string;
  /** `v24.1.0` */
  nodeVersion: string;
  /** Version of Node's binary interface: `137` with Node 24. */
  abi: string;
  /** Version of glibc; `null`: another C library, such as musl on Alpine. Used on Linux only. */
  glibc: string | null;
}

/** Describes this machine. Takes some milliseconds. */
export function readMachine(): Machine {
  const { platform, arch, version: nodeVersion, versions, report } = process;
  // Node's types lack the members of the report.
  const { header } = report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return {
    platform,
    arch,
    nodeVersion,
    abi: versions.modules,
    glibc: header?.glibcVersionRuntime ?? null,
  };
}

/**
 * Returns the error message for a machine on which no binary loads. It names the machine, a remedy, and the failure of
 * each package.
 */
export function describeNoBinary(
  machine: Machine,
  { failed, choice }: { failed: readonly FailedUws[]; choice: UwsChoice },
): string {
  const { platform, arch, nodeVersion, abi, glibc } = machine;
  const library =
    platform !== "linux" ? "" : glibc === null ? " without glibc" : ` with glibc ${glibc}`;
  const found = `Node ${nodeVersion} (ABI ${abi}) on ${platform}-${arch}${library}`;
  const remedy = pickRemedy(machine, failed);
  const other = choice === "auto" ? "" : ', or the setting uws left at "auto"';
  return [
    `Cannot load uWebSockets.js: found ${found}, expected ${remedy}${other}. Tried:`,
    ...failed.map(({ label, reason }) => `  ${label} ${reason}`),
    "  docs/dependencies.md describes how to install another build instead",
  ].join("\n");
}

/** Systems for which there are binaries: `process.platform` and `process.arch`. */
const SYSTEMS: readonly string[] = [
  "linux-x64",
  "linux-arm64",
  "darwin-x64",
  "darwin-arm64",
  "win32-x64",
];
const NODES: readonly number[] = [20, 22, 24, 25];
/** Oldest minor version of glibc 2 that the binaries of `uws-pack` and of the others need. */
const OLDEST_GLIBC = 27;
const NEWER_GLIBC = 38;
/** From the message of Node's `ERR_DLOPEN_DISABLED`. */
const ADDONS_DISABLED = "loading addons is disabled";
const NEWER_SYSTEM = "glibc 2.38 or later (Debian 13, Ubuntu 24.04)";

function pickRemedy(machine: Machine, failed: readonly FailedUws[]): string {
  const { platform, arch, nodeVersion, glibc } = machine;
  const major = Number(/^v(\d+)\./.exec(nodeVersion)?.[1]);
  const glibcMinor = glibc === null ? Infinity : Number(glibc.split(".")[1]);
  if (failed.some(({ reason }) => reason.includes(ADDONS_DISABLED))) {
    return "Node without --no-addons, and with --allow-addons where it has --permission";
  }
  if (platform === "linux" && glibc === null) {
    return "glibc: a Node image such as node:24-trixie-slim instead of an Alpine one";
  }
  if (!SYSTEMS.includes(`${platform}-${arch}`)) return `one of ${SYSTEMS.join(", ")}`;
  if (!NODES.includes(major)) return `Node 22, or Node 24 with ${NEWER_SYSTEM}`;
  if (glibcMinor < OLDEST_GLIBC) return "glibc 2.27 or later";
  if (failed.every(({ reason }) => reason === `needs glibc 2.${NEWER_GLIBC}`)) return NEWER_SYSTEM;
  if (glibcMinor < NEWER_GLIBC && major > 22) return `Node 22, or ${NEWER_SYSTEM}`;
  if (failed.some(({ isPruned }) => isPruned)) {
    return 'the Node and the system for which "edgicorn prune" ran; "npm ci" brings the other binaries back';
  }
  if (failed.some(({ label }) => label === ALIAS)) {
    return 'the official package instead of uws-pack, by "overrides" in package.json';
  }
  return 'a binary that loads; "npm ci" without --omit=optional installs all that there are';
}

function toReason(message: string): string {
  const symbol = /version `GLIBC(XX)?_([\d.]+)' not found/.exec(message);
  if (symbol !== null) {
    return symbol[1] === undefined
      ? `needs glibc ${symbol[2]}`
      : `needs libstdc++ with GLIBCXX_${symbol[2]}`;
  }
  const file = /Cannot find module '[^']*uws_(\w+)_(\w+)_(\d+)\.node'/.exec(message);
  if (file !== null) return `has no binary for Node ABI ${file[3]} on ${file[1]}-${file[2]}`;
  // The packages print a misleading sentence of their own before Node's message.
  const lines = message.split("\n").filter((line) => line.trim() !== "");
  return `cannot be loaded: ${(lines.find((line) => line.startsWith("Error: ")) ?? lines[0] ?? "").replace(/^Error: /, "")}`;
}

function findPackage(specifier: string): InstalledUws | null {
  let dir: string;
  try {
    dir = dirname(fileURLToPath(import.meta.resolve(specifier)));
  } catch {
    // The package is not installed.
    return null;
  }
  for (;;) {
    const manifest = readManifest(join(dir, "package.json"));
    if (manifest !== null) return { specifier, ...manifest, dir };
    const parent = dirname(dir);
    if (parent === dir) {
      throw new RuntimeError(
        "ERR_LISTEN",
        `Cannot load uWebSockets.js: found no package.json of ${specifier} above its main file, expected one`,
      );
    }
    dir = parent;
  }
}

/** Returns `null` when there is no manifest, or when it has no name (one that only sets `type` for its folder). */
function readManifest(path: string): { name: string; version: string } | null {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return null;
  }
  const { name, version } = JSON.parse(text) as { name?: unknown; version?: unknown };
  return typeof name === "string" && typeof version === "string" ? { name, version } : null;
}
