import { statSync } from "node:fs";
import { join, resolve } from "node:path";
import type { AppKind } from "../channel/messages.ts";
import { toAppPool } from "../lib/pool-name.ts";
import type { MountSetting } from "./mount-settings.ts";

/** A Python application of the server, with everything that its workers need. Plain data. */
export interface AppSetting {
  /** Name of the pool whose workers run it. */
  readonly pool: string;
  /** The site that it belongs to; absent: the default one. */
  readonly site?: string;
  /** The path below which it answers, without a slash at the end; `""`: all paths. */
  readonly mount: string;
  /** `module:name`, `module:factory()`. */
  readonly spec: string;
  /** Absolute path of the folder that Python looks in first. */
  readonly dir: string;
  /** Absolute path of the interpreter, or a name to look for in `PATH`. */
  readonly python: string;
  readonly kind: AppKind;
  /** Requests of a WSGI application that one worker runs at a time. */
  readonly threads: number;
  /** Number of worker processes; `null`: as `workers` says. */
  readonly workers: number | null;
}

/** Settings of the applications that are files among the handlers, with everything that a build needs. Plain data. */
export type FileAppSettings = Pick<AppSetting, "dir" | "python" | "kind">;

/** Settings that hold for all applications, unless a mount has its own. */
export interface AppDefaults {
  /** The application for all paths; `null`: none. */
  app: string | null;
  appDir: string;
  /** Resolved; `null`: to be looked for. */
  python: string | null;
  appKind: AppKind;
  threads: number;
}

/**
 * Returns the applications of a server or a site, the one for all paths first.
 *
 * @param site The site; `null`: the default one.
 * @param env `VIRTUAL_ENV` names the environment where none lies beside the application.
 */
export function toApps(
  defaults: AppDefaults,
  mounts: readonly MountSetting[],
  { env, site = null }: { env: Readonly<Record<string, string | undefined>>; site?: string | null },
): AppSetting[] {
  const { app, appDir, appKind, threads } = defaults;
  const root: MountSetting[] =
    app === null
      ? []
      : [{ mount: "", app, dir: null, python: null, kind: null, threads: null, workers: null }];
  const pools = new Set<string>();
  return [...root, ...mounts].map((mount) => {
    const dir = mount.dir ?? appDir;
    return {
      pool: toAppPool(`${site ?? ""}${mount.mount}`, pools),
      ...(site !== null && { site }),
      mount: mount.mount,
      spec: mount.app,
      dir,
      python: mount.python ?? defaults.python ?? findPython(dir, env),
      kind: mount.kind ?? appKind,
      threads: mount.threads ?? threads,
      workers: mount.workers,
    };
  });
}

/** Returns the interpreter of an application that the operator did not name. */
export function findPython(dir: string, env: Readonly<Record<string, string | undefined>>): string {
  const beside = join(dir, ".venv/bin/python");
  if (isFile(beside)) return beside;
  const active = env["VIRTUAL_ENV"];
  if (active !== undefined && active !== "") {
    const python = resolve(active, "bin/python");
    if (isFile(python)) return python;
  }
  return "python3";
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}
