import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isAlive } from "../lib/is-alive.ts";

/**
 * Records in a generation's folder that a process uses it. Several servers share a state folder (production beside
 * `dev`, the old one beside the new one of a restart), and none may prune a generation from which another one loads
 * modules.
 *
 * A lease is an empty file that names the process. One whose process is gone does not count, so a crash needs no
 * repair. A process id that was given to another process keeps a folder longer than needed, which costs some disk
 * space.
 *
 * @param dir The generation's folder, before it is published: a lease that came later could come too late.
 */
export async function writeLease(dir: string, pid: number): Promise<void> {
  await writeFile(join(dir, LEASE + pid), "");
}

/** Takes the lease back; there need not be one. */
export async function releaseLease(dir: string, pid: number): Promise<void> {
  await rm(join(dir, LEASE + pid), { force: true });
}

/** Tells whether a living process uses the generation. A missing folder is not in use. */
export async function isLeased(dir: string): Promise<boolean> {
  const names = await readdir(dir).catch((): string[] => []);
  return names.some((name) => name.startsWith(LEASE) && isAlive(Number(name.slice(LEASE.length))));
}

const LEASE = "lease-";
