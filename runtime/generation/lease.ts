import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * Says in a generation's folder that a process uses it: several servers share a state folder (production beside `dev`,
 * the old one beside the new one of a restart), and none may prune what another one loads modules from.
 *
 * A lease is an empty file that names the process. One whose process is gone counts for nothing, so a crash needs no
 * repair. A process id that was given anew keeps a folder longer than needed, which costs some disk space.
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

/** Whether a process that lives uses the generation. A folder that is not there is used by nobody. */
export async function isLeased(dir: string): Promise<boolean> {
  const names = await readdir(dir).catch((): string[] => []);
  return names.some((name) => name.startsWith(LEASE) && isAlive(Number(name.slice(LEASE.length))));
}

const LEASE = "lease-";

function isAlive(pid: number): boolean {
  // Zero and below are groups of processes.
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // It lives and belongs to somebody else.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
