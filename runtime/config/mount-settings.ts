import { resolve } from "node:path";
import * as z from "zod/mini";
import type { AppKind } from "../channel/messages.ts";
import { isRecord, type Refuse } from "./rule-reader.ts";
import { pickNearest } from "../lib/nearest.ts";

/** A Python application for a part of the paths. `null`: as for the application of all paths. */
export interface MountSetting {
  /** Without a slash at the end; `""`: all paths. */
  readonly mount: string;
  readonly app: string;
  /** Absolute. */
  readonly dir: string | null;
  /** Absolute, or a name to look for in `PATH`. */
  readonly python: string | null;
  readonly kind: AppKind | null;
  readonly threads: number | null;
  readonly workers: number | null;
}

/** Segments of plain characters: a mount is compared with the start of a path. */
const MOUNT = /^(?:\/[\w.~-]+)*\/?$/;

const MOUNT_KEYS = {
  app: {
    schema: z.string().check(z.regex(/^[^\s:]+(?::.+)?$/)),
    expected: 'a Python module and a name in it, such as "api.main:app"',
  },
  dir: { schema: z.string().check(z.minLength(1)), expected: "a folder" },
  python: { schema: z.string().check(z.minLength(1)), expected: "an interpreter" },
  kind: { schema: z.enum(["auto", "wsgi", "asgi"]), expected: '"auto", "wsgi" or "asgi"' },
  threads: {
    schema: z.int().check(z.minimum(1), z.maximum(1024)),
    expected: "a whole number from 1 to 1024",
  },
  workers: {
    schema: z.int().check(z.minimum(1), z.maximum(1024)),
    expected: "a whole number from 1 to 1024",
  },
} as const;

const MOUNT_KEY_NAMES = Object.keys(MOUNT_KEYS);

/** Returns the applications of the key `mounts`. Refuses all that are none. */
export function readMounts(
  value: unknown,
  { folder, refuse }: { folder: string; refuse: Refuse },
): MountSetting[] {
  if (!isRecord(value)) {
    refuse("mounts", value, 'an object: { "/api": { app: "api.main:app" } }');
    return [];
  }
  return Object.entries(value).flatMap(([path, mount]) => {
    const key = `mounts[${JSON.stringify(path)}]`;
    if (!path.startsWith("/") || !MOUNT.test(path)) {
      refuse(key, path, 'a path such as "/api", of letters, digits and "-._~"');
      return [];
    }
    const own = typeof mount === "string" ? { app: mount } : mount;
    if (!isRecord(own)) {
      refuse(key, mount, 'an object: { app: "api.main:app" }');
      return [];
    }
    return [readMount(own, { path, key, folder, refuse })];
  });
}

function readMount(
  own: Readonly<Record<string, unknown>>,
  { path, key, folder, refuse }: { path: string; key: string; folder: string; refuse: Refuse },
): MountSetting {
  for (const unknown of Object.keys(own)) {
    if (MOUNT_KEY_NAMES.includes(unknown)) continue;
    const nearest = pickNearest(unknown, MOUNT_KEY_NAMES);
    refuse(
      `${key}.${unknown}`,
      own[unknown],
      nearest === null ? MOUNT_KEY_NAMES.join(", ") : `"${nearest}"`,
    );
  }
  const read = <Key extends keyof typeof MOUNT_KEYS>(
    part: Key,
  ): z.output<(typeof MOUNT_KEYS)[Key]["schema"]> | null => {
    const value = own[part];
    if (value === undefined && part !== "app") return null;
    const { schema, expected } = MOUNT_KEYS[part];
    const parsed = schema.safeParse(value);
    // The type is that of this key's schema.
    if (parsed.success) return parsed.data as z.output<(typeof MOUNT_KEYS)[Key]["schema"]>;
    refuse(`${key}.${part}`, value, expected);
    return null;
  };
  const dir = read("dir");
  const python = read("python");
  return Object.freeze({
    mount: path.replace(/\/$/, ""),
    app: read("app") ?? "",
    dir: dir === null ? null : resolve(folder, dir),
    python: python?.includes("/") === true ? resolve(folder, python) : python,
    kind: read("kind"),
    threads: read("threads"),
    workers: read("workers"),
  });
}
